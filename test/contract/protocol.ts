import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config.ts'
import { open, type Reader } from '../support/reader.ts'
import { FAILURE, type Backend, type Script, type Stage } from './protocol-backend.ts'
import type { Fields, ProtocolClient, Said } from './protocol-client.ts'

export const text = ['one', ' two', ' three', ' four']
export const calls = [
  { id: 'call_a', name: 'get_weather', arguments: ['{"ci', 'ty":"K', 'öln"}'] },
  { id: 'call_b', name: 'get_time', arguments: ['{}'] },
]

const answers: [what: string, script: Script][] = [
  ['text', { text }],
  ['reasoning before it', { reasoning: ['Let', ' me', ' think.'], text }],
  ['tool calls with split arguments', { text, calls, finish: 'tool_calls' }],
  ['nothing but tool calls', { calls, finish: 'tool_calls' }],
  ['as many tokens as it may', { text, finish: 'length' }],
]

export interface Asked {
  stage: Stage
  /** Asks again and again for the same, as clients do that come back by themselves. */
  repeat: (script: Script) => (headers: Record<string, string>) => Promise<Reader>
  ask: (script: Script, stream?: boolean) => Promise<Reader>
}

/** A gateway, and a way to ask it for what a script says. */
export async function startContract(
  client: ProtocolClient,
  backend: Backend,
  settings: Partial<Config> = {},
): Promise<Asked> {
  const stage = await backend.start(settings)
  function prepare(script: Script, stream: boolean) {
    const { headers, body } = client.request(stream)
    const asked = { model: 'model', ...body, ...stage.play(script) }
    return (more: Record<string, string> = {}) =>
      open(`${stage.gateway.url}${client.path}`, { method: 'POST', headers: { ...headers, ...more }, body: asked })
  }
  return {
    stage,
    repeat: (script) => prepare(script, true),
    ask: (script, stream = true) => prepare(script, stream)(),
  }
}

/** What an answer is in every protocol over every provider, and what it is when there is none. */
export function describeAnswers(client: ProtocolClient, backend: Backend): void {
  const start = (settings?: Partial<Config>) => startContract(client, backend, settings)
  const heard = ({ messages }: Reader) => client.listen(messages)
  const readWhole = ({ json }: Reader) => client.read(json as Fields)

  describe('an answer', () => {
    it.each(answers)('of %s streams whole, and is the same in one piece', async (_, script) => {
      const { stage, ask } = await start()
      const streamed = await (await ask(script)).end()
      expect(streamed.complete).toBe(true)
      expect(parseArguments(heard(streamed))).toEqual(parseArguments(stage.expected(script)))
      const whole = await (await ask(script, false)).end()
      expect(whole.status).toBe(200)
      expect(readWhole(whole)).toEqual(heard(streamed))
    })

    it.each([0, 2])('is not disturbed by heartbeats before its piece %i', async (pauseAt) => {
      const script = { text, pauseAt }
      const { stage, ask } = await start({ heartbeatMs: 20, sdkStatusWaitMs: 20 })
      const reader = await ask(script)
      await reader.until(hasHeartbeat)
      stage.goOn()
      expect(heard(await reader.end())).toEqual(stage.expected(script))
    })
  })

  describe('a failure before the first token', () => {
    describe.each([true, false])('(streaming: %s)', (stream) => {
      it.each<[what: string, script: Script, words: RegExp]>([
        ['an error', { text, failAt: 0 }, backend.name === 'mock' ? /fail/ : new RegExp(FAILURE)],
        ['an end', { text, truncateAt: 0 }, /end/],
      ])('%s is what is answered', async (_, script, words) => {
        const { ask } = await start()
        const reader = await (await ask(script, stream)).end()
        if (client.name === 'native' || (client.name === 'ui-messages' && stream)) {
          expect(reader.status).toBe(200)
          expectFailed(stream ? heard(reader) : readWhole(reader), '', words)
        } else {
          expect(reader.status).toBeGreaterThanOrEqual(500)
          expect(reader.headers).toMatchObject({ 'sluice-target': expect.any(String), 'sluice-attempts': '1' })
          expect(client.readError(reader.json as Fields).message).toMatch(words)
        }
      })
    })

    it('is told within the stream once that has begun', async () => {
      const { stage, ask } = await start({ heartbeatMs: 20, sdkStatusWaitMs: 20 })
      const reader = await ask({ text, pauseAt: 0, failAt: 0 })
      await reader.until(hasHeartbeat)
      stage.goOn()
      await reader.end()
      expect(reader.status).toBe(200)
      expectFailed(heard(reader), '')
    })
  })

  describe('a failure after the first token', () => {
    it.each<[what: string, script: Script]>([
      ['an error', { text, failAt: 2 }],
      ['an end', { text, truncateAt: 2 }],
    ])('%s never passes for the end of an answer', async (_, script) => {
      const { ask } = await start()
      const streamed = await (await ask(script)).end()
      expect(streamed.status).toBe(200)
      expectFailed(heard(streamed), 'one two')
      const whole = await (await ask(script, false)).end()
      if (client.name === 'native') {
        expectFailed(readWhole(whole), 'one two')
      } else {
        expect(whole.status).toBeGreaterThanOrEqual(500)
        expect(client.readError(whole.json as Fields).message).toMatch(/\w/)
      }
    })
  })
}

/** With the arguments of calls as what they say: how JSON is spaced does not matter. */
export function parseArguments(said: Said): unknown {
  return { ...said, calls: said.calls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) })) }
}

/** That this is all that was said, and that it is no whole answer. */
export function expectFailed(said: Said, content: string, words = /\w/): void {
  expect(said).toMatchObject({ text: content, error: expect.stringMatching(words) })
  expect(said.finish).toBeUndefined()
}

/** A comment, or what Anthropic sends instead of one. */
function hasHeartbeat({ comments, messages }: Reader): boolean {
  return comments.length > 0 || messages.some(({ event }) => event === 'ping')
}
