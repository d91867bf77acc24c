import { describe, expect, it } from 'vitest'
import type { StreamEvent, Usage } from '../../providers/provider.ts'
import { startGateway, itAlone } from '../support/gateway.ts'
import { chat, resume } from '../support/reader.ts'
import { ScriptedProvider, type Run } from '../support/scripted-provider.ts'

const nonsense = (value: unknown) => (run: Run) => run.yield(value as StreamEvent)

const UNWRITABLE = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2, detail: 1n } as Usage

const faults: [what: string, misbehave: (run: Run) => void, code: string][] = [
  ['throws an Error', (run) => run.fail(new Error('secret detail')), 'provider_failed'],
  ['throws something that is no Error', (run) => run.fail(undefined), 'provider_failed'],
  [
    'throws an Error whose stack is no string',
    (run) => run.fail(Object.assign(new Error('secret detail'), { stack: [{ file: 'a.js' }] })),
    'provider_failed',
  ],
  [
    'ends with usage that has no JSON',
    (run) => run.yield({ type: 'done', finish_reason: 'stop', usage: UNWRITABLE }),
    'provider_failed',
  ],
  ['ends without done', (run) => run.end(), 'upstream_truncated'],
  ['falls silent', () => {}, 'upstream_timeout'],
  ['yields null', nonsense(null), 'provider_invalid_event'],
  ['yields a string', nonsense('hello'), 'provider_invalid_event'],
  ['yields an unknown type', nonsense({ type: 'error' }), 'provider_invalid_event'],
  ['yields content that is no string', nonsense({ type: 'delta', content: 7 }), 'provider_invalid_event'],
  ['yields an unknown finish', nonsense({ type: 'done', finish_reason: 'tired' }), 'provider_invalid_event'],
]

describe.each([
  ['before the first token', ''],
  ['after the first token', 'some'],
])('a provider that fails %s', (_, text) => {
  it.each(faults)('and %s ends the stream in one done with a stable code', async (__, misbehave, code) => {
    const provider = new ScriptedProvider()
    const models = { scripted: { target: 'scripted/scripted', retries: 0 } }
    const gateway = await startGateway(
      { models, firstTokenTimeoutMs: 100, idleTimeoutMs: 100 },
      { providers: [provider] },
    )
    const reader = await chat(gateway.url, { model: 'scripted' })
    const run = await provider.nextRun()
    if (text) {
      run.text(text)
      await reader.until((each) => each.text === text)
    }
    misbehave(run)
    await reader.end()
    expect(reader.text).toBe(text)
    expect(reader.dones).toMatchObject([{ finish_reason: 'error', error: { code } }])
    expect(reader.messages.at(-1)?.event).toBe('done')
    expect(reader.complete).toBe(true)
    expect(reader.body).not.toContain('secret detail')
    // And the gateway goes on.
    const next = await chat(gateway.url, { mock: { tokens: 2, interval_ms: 0 } })
    expect((await next.end()).dones).toMatchObject([{ finish_reason: 'stop' }])
  })
})

it('a stream that outgrows its cap ends with stream_too_large and keeps what came before', async () => {
  const gateway = await startGateway({ streamMaxBytes: 20_000 })
  const reader = await (await chat(gateway.url, { mock: { tokens: 5000, interval_ms: 0 } })).end()
  expect(reader.dones).toMatchObject([
    { finish_reason: 'error', error: { code: 'stream_too_large', retryable: false } },
  ])
  expect(reader.text.length).toBeGreaterThan(1000)
})

itAlone('a full store drops finished streams, oldest first, and refuses a stream when nothing can go', async () => {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({ storeMaxBytes: 1_000_000 }, { providers: [provider] })
  // Large texts, so that the memory of streams and readers does not matter.
  const finished = async () => {
    const reader = await chat(gateway.url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.text('x'.repeat(350_000))
    run.done()
    return await reader.end()
  }
  const oldest = await finished()
  const newer = await finished()
  const running = await chat(gateway.url, { model: 'scripted' })
  const run = await provider.nextRun()
  run.text('y'.repeat(300_000))
  await running.until(({ text }) => text.length === 300_000)
  expect((await resume(gateway.url, oldest.id)).status).toBe(410)
  // To its end: a stream that is being read is not dropped.
  expect((await (await resume(gateway.url, newer.id)).end()).status).toBe(200)
  run.text('z'.repeat(550_000))
  await running.until(({ text }) => text.length === 850_000)
  expect((await resume(gateway.url, newer.id)).status).toBe(410)

  const refused = await (await chat(gateway.url, { model: 'scripted' })).end()
  expect(refused.status).toBe(503)
  expect(refused.headers['retry-after']).toBeDefined()
  expect(refused.json).toMatchObject({ code: 'store_full', retryable: true })
  run.done()
  expect((await running.end()).dones).toMatchObject([{ finish_reason: 'stop' }])
})
