import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Config } from '../../../src/config.ts'
import { meaningful } from '../../support/both-ways.ts'
import { startGateway } from '../../support/gateway.ts'
import { open, type Reader } from '../../support/reader.ts'
import { ASKS, completion, PROMPT, type Asked } from './sdk-answers.ts'
import { startServer, type ModelServer } from './start-server.ts'

export type Wire = keyof typeof ASKS

export interface ServerUnderTest {
  run: readonly [string, ...string[]]
  /** The name under which it knows its model. */
  model: string
  /** The protocols that it speaks. */
  wires: readonly Wire[]
  /** Whether it generates at the moment. */
  isBusy: (origin: string) => Promise<boolean>
  /** What it says of a prompt that is too long. */
  tooLong: string
  /** What else it is asked through OpenAI's SDK. */
  others: Readonly<Record<string, Partial<OpenAI.ChatCompletionCreateParamsNonStreaming>>>
}

const FINISHES = {
  openai: { length: 'length', stop: 'stop' },
  anthropic: { length: 'max_tokens', stop: 'end_turn' },
}

/** What holds in front of a real server: the gateway changes nothing in what it says. */
export function describeServer(name: string, { run, model, wires, isBusy, tooLong, others }: ServerUnderTest): void {
  let server: ModelServer
  beforeAll(async () => {
    server = await startServer(run)
  }, 60_000)
  afterAll(() => server.stop())

  async function gatewayTo(wire: Wire, settings: Partial<Config> = {}): Promise<string> {
    const provider =
      wire === 'openai'
        ? { type: wire, baseUrl: `${server.url}/v1`, headers: {}, includeUsage: true }
        : { type: wire, baseUrl: server.url, headers: {}, maxTokens: 4096, apiKey: 'key' }
    const gateway = await startGateway({
      providers: { server: provider },
      models: { [model]: { target: `server/${model}`, retries: 0 } },
      ...settings,
    })
    return gateway.url
  }

  describe.each(wires)(`${name}, asked as %s`, (wire) => {
    const asked: Asked = { model, maxTokens: 64, ...(wire === 'openai' && { seed: 1 }) }

    it.each(['streamed', 'whole'] as const)('an answer is the same, %s', async (how) => {
      const straight = await ASKS[wire][how](server.url, asked)
      const through = await ASKS[wire][how](await gatewayTo(wire), asked)
      expect(through).toStrictEqual(straight)
      expect(through).toMatchObject({ finish: FINISHES[wire].length, outputTokens: 64 })
    })

    it.each(['streamed', 'whole'] as const)('a stop sequence ends it, %s', async (how) => {
      const { text } = await ASKS[wire].whole(server.url, asked)
      const stop = Array.from(text).slice(20, 24).join('')
      const straight = await ASKS[wire][how](server.url, { ...asked, stop: [stop] })
      const through = await ASKS[wire][how](await gatewayTo(wire), { ...asked, stop: [stop] })
      expect(through).toStrictEqual(straight)
      expect(through).toMatchObject({ text: text.slice(0, text.indexOf(stop)), finish: FINISHES[wire].stop })
    })

    it.each(['streamed', 'whole'] as const)('the clients of the other protocol have the same, %s', async (how) => {
      const straight = await ASKS[wire].whole(server.url, asked)
      const other = wire === 'openai' ? 'anthropic' : 'openai'
      const through = await ASKS[other][how](await gatewayTo(wire), { model, maxTokens: 64 })
      expect(through).toStrictEqual({ ...straight, finish: FINISHES[other].length })
    })

    it.each(['streamed', 'whole'] as const)('what it refuses is refused in its words, %s', async (how) => {
      const prompt = { ...asked, prompt: 'too long '.repeat(20_000) }
      for (const origin of [server.url, await gatewayTo(wire)]) {
        const refusal = await ASKS[wire][how](origin, prompt).catch((error: unknown) => error)
        expect(refusal).toMatchObject({ status: 400, message: expect.stringContaining(tooLong) })
      }
    })

    it.each(wire === 'openai' ? Object.entries(others) : [])('%s is the same', async (_, more) => {
      const ask = async (origin: string) => {
        const { id: _id, created: _created, ...answer } = await completion(origin, { model, max_tokens: 64, ...more })
        return meaningful({ ...answer, timings: null })
      }
      expect(await ask(await gatewayTo(wire))).toStrictEqual(await ask(server.url))
    })

    it('a reader that was cut continues at its cursor', async () => {
      const { text } = await ASKS.openai.whole(await gatewayTo(wire), { model, maxTokens: 2000 })
      const url = await gatewayTo(wire, { sdkResumeWindowMs: 60_000 })
      const body = {
        model,
        messages: [{ role: 'user', content: PROMPT }],
        temperature: 0,
        max_tokens: 2000,
        stream: true,
      }
      const read = (cursor: Record<string, string>) =>
        open(`${url}/v1/chat/completions`, { method: 'POST', body, headers: { 'idempotency-key': 'key', ...cursor } })
      const first = await read({})
      await first.until(() => textOf(first) !== '')
      first.cut()
      const cursor = first.messages.findLast(({ id }) => id)?.id ?? ''
      const rest = await (await read({ 'last-event-id': cursor })).end()
      expect(textOf(first) + textOf(rest)).toBe(text)
      expect(textOf(rest)).not.toBe('')
      expect(rest.messages.at(-1)?.data).toBe('[DONE]')
    })

    it.each(['streamed', 'whole'] as const)('a caller who leaves stops it, %s', async (how) => {
      const abort = new AbortController()
      const url = await gatewayTo(wire)
      const long = { model, maxTokens: 20_000, signal: abort.signal }
      const ended = ASKS[wire][how](url, long).catch(() => {})
      await expect.poll(() => isBusy(server.url)).toBe(true)
      abort.abort()
      await ended
      await expect.poll(() => isBusy(server.url)).toBe(false)
    })
  })
}

function textOf({ messages }: Reader): string {
  return messages
    .filter(({ data }) => data !== '[DONE]')
    .map(({ data }) => (JSON.parse(data) as { choices: { delta: { content?: string } }[] }).choices[0]?.delta.content)
    .join('')
}
