import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { ClientProgram, type Job } from './client-program.ts'
import type { LanguageName } from './languages.ts'

export interface ClientUnderTest {
  /** Its name in its program. */
  name: string
  protocol: 'native' | 'openai-chat' | 'anthropic-messages'
  /** Where it goes on after a cut: at its cursor, or at the beginning, to skip what it has. */
  resumesAt: 'cursor' | 'beginning'
}

/** Which finish reason of the protocol means that the answer is whole. */
const WHOLE = { native: 'stop', 'openai-chat': 'stop', 'anthropic-messages': 'end_turn' }
const LONG = 'half a frame has to be forgotten '.repeat(30)
const HALF = 'retry: 1000\nevent: delta\ndata: {"con'
const SEPARATORS = 'a\u2028b\u2029c\u0085d '

/** A gateway that is silent for no more than 50 ms, behind a proxy. */
export async function setUp(language: LanguageName, { name }: ClientUnderTest, settings: Partial<Config> = {}) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway(
    { mock: true, sdkResumeWindowMs: 60_000, heartbeatMs: 50, sdkStatusWaitMs: 50, ...settings },
    { providers: [provider] },
  )
  const proxy = await startCuttingProxy(gateway.url)
  const body = { model: 'scripted', max_tokens: 999, messages: [{ role: 'user', content: 'hi' }] }
  const key = randomUUID()
  const start = (job: Partial<Job> = {}) =>
    new ClientProgram(language, { client: name, base: proxy.url, key, cursor: '', body, afterFirst: 'stay', ...job })
  /** The answers to its requests for a stream. */
  const answers = () => proxy.requests.entries.filter(({ method }) => method !== 'DELETE').map(({ status }) => status)
  return { provider, gateway, proxy, start, answers }
}

/** Waits until its readers have been told three times that there is nothing to tell. */
async function silence(gateway: TestGateway): Promise<void> {
  const sent = () => gateway.metric('sluice_heartbeats_sent_total')
  const before = await sent()
  await expect.poll(sent).toBeGreaterThanOrEqual(before + 3)
}

/** What holds for every client, in whichever language. */
export function describeClient(language: LanguageName, client: ClientUnderTest): void {
  const { name, protocol, resumesAt } = client
  const native = protocol === 'native'

  describe(name, () => {
    it('resumes after cuts, and has every token once, no empty event, and the end', async () => {
      const { provider, gateway, proxy, start, answers } = await setUp(language, client)
      const program = start()
      const run = await provider.nextRun()
      run.text('one ')
      await program.untilText('one ')
      await silence(gateway)
      proxy.cut()
      run.text('two ')
      await program.untilText('one two ')
      await silence(gateway)
      proxy.cutAfter(600)
      run.text(LONG)
      await program.untilText(`one two ${LONG}`)
      run.text(SEPARATORS)
      run.text('\ud83d')
      await silence(gateway)
      run.text('\ude00')
      run.done()

      expect(await program.end()).toBe(WHOLE[protocol])
      expect(program.text).toBe(`one two ${LONG}${SEPARATORS}\u{1f600}`)
      expect(program.of('empty')).toStrictEqual([])
      expect(provider.runs).toHaveLength(1)
      expect(answers().filter((status) => status >= 300)).toStrictEqual([])
      const cursors = proxy.requests.entries.flatMap(({ lastEventId }) => lastEventId || [])
      expect(cursors).toStrictEqual(resumesAt === 'cursor' ? ['1', '2'] : [])
    })

    it('takes a connection that is closed in good order for no end, nor half a frame before it for a frame', async () => {
      const { provider, gateway, start } = await setUp(language, client)
      const network = await FaultyNetwork.start(gateway.url)
      const program = start({ base: network.url })
      const run = await provider.nextRun()
      run.text('one ')
      await program.untilText('one ')
      const headers = { 'content-type': 'text/event-stream' }
      network.plan({ answer: { status: 200, headers, body: HALF } })
      network.cut()
      run.text('two')
      await program.untilText('one two')
      run.done()
      expect(await program.end()).toBe(WHOLE[protocol])
      expect(program.text).toBe('one two')
      expect(program.of('empty')).toStrictEqual([])
      expect(provider.runs).toHaveLength(1)
    })

    it.runIf(resumesAt === 'cursor')('is told 204 when there is no more, and stops', async () => {
      const { provider, start, answers } = await setUp(language, client)
      const first = start()
      const run = await provider.nextRun()
      run.text('all of it')
      await first.untilText('all of it')
      run.done()
      await first.end()
      const late = start({ cursor: '2' })
      expect(await late.end()).toBe('204')
      expect(late.text).toBe('')
      expect(answers().at(-1)).toBe(204)
      expect(provider.runs).toHaveLength(1)
    })

    it('stops the generation by leaving, once the resume window is over', async () => {
      const { provider, start } = await setUp(language, client, { resumeWindowMs: 2000, sdkResumeWindowMs: 0 })
      const program = start({ afterFirst: 'leave' })
      const run = await provider.nextRun()
      run.text('enough')
      await run.aborted
      expect(await program.end()).toBe('left')
    })

    it.runIf(native)('cancels with DELETE, and is told so', async () => {
      const { provider, start } = await setUp(language, client)
      const program = start({ afterFirst: 'cancel' })
      const run = await provider.nextRun()
      run.text('enough')
      await run.aborted
      expect(await program.end()).toBe('cancelled')
      expect(program.text).toBe('enough')
    })
  })
}
