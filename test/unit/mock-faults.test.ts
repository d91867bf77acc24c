import { describe, expect, it } from 'vitest'
import { mock } from '../../providers/mock/mock.ts'
import type { StreamEvent } from '../../providers/provider.ts'
import { ask, listen } from './listen-to-mock.ts'
import { iterate } from '../support/iterate.ts'

describe('what the mock can do to you', () => {
  it.each([0, 1, 64, 100])('fail_at %i comes after exactly so many tokens', async (fail_at) => {
    const { deltas, done, thrown } = await listen({ tokens: 200, fail_at })
    expect(deltas).toHaveLength(fail_at)
    expect(done).toBeUndefined()
    expect(thrown).toMatchObject({ name: 'ProviderError', code: 'upstream_error', retryable: true })
  })

  it('fail_code says with which code', async () => {
    const { thrown } = await listen({ fail_at: 1, fail_code: 'upstream_rate_limited' })
    expect(thrown).toMatchObject({ code: 'upstream_rate_limited' })
  })

  it.each([0, 1, 64, 100])('truncate_at %i ends after exactly so many tokens, without a word', async (truncate_at) => {
    expect(await listen({ tokens: 200, truncate_at })).toMatchObject({
      deltas: { length: truncate_at },
      done: undefined,
      thrown: undefined,
    })
  })

  it('stall_at with stall_ms loses nothing', async () => {
    const smooth = await listen({ tokens: 20 })
    const stalled = await listen({ tokens: 20, stall_at: 10, stall_ms: 1 })
    expect(stalled).toEqual(smooth)
  })

  it.each([{}, { stall_ms: 3_600_000 }])('stall_at with %j brings what came before it, then nothing', async (knobs) => {
    const abort = new AbortController()
    const context = { signal: abort.signal, streamId: 'str_1', options: {}, connectTimeoutMs: 10_000 }
    const stream = mock().stream(ask({ tokens: 9, interval_ms: 0, stall_at: 5, ...knobs }), context)
    const heard: StreamEvent[] = []
    const listening = (async () => {
      for await (const yielded of iterate(stream)) {
        heard.push(...[yielded].flat())
        if (heard.length === 5) queueMicrotask(() => abort.abort(new Error('enough')))
      }
    })()
    await expect(listening).rejects.toThrow()
    expect(heard).toEqual((await listen({ tokens: 9 })).deltas.slice(0, 5))
  })

  it('counts positions over reasoning, text and tool call alike', async () => {
    const knobs = { reasoning_tokens: 2, tokens: 2, tool_call: true }
    expect((await listen({ ...knobs, fail_at: 1 })).deltas.at(-1)).toHaveProperty('reasoning')
    expect((await listen({ ...knobs, fail_at: 3 })).deltas.at(-1)).toHaveProperty('content')
    expect((await listen({ ...knobs, fail_at: 5 })).deltas.at(-1)).toHaveProperty('tool_calls')
  })
})

describe('knobs that are wrong', () => {
  it.each<[path: string, knobs: unknown]>([
    ['mock', 'fast'],
    ['mock', null],
    ['mock.tokens', { tokens: -1 }],
    ['mock.tokens', { tokens: 1.5 }],
    ['mock.tokens', { tokens: '5' }],
    ['mock.interval_ms', { interval_ms: -1 }],
    ['mock.interval_ms', { interval_ms: 1e9 }],
    ['mock.seed', { seed: 0.5 }],
    ['mock.text', { text: 7 }],
    ['mock.first_token_ms', { first_token_ms: 'long' }],
    ['mock.stall_at', { stall_at: -1 }],
    ['mock.stall_ms', { stall_ms: null }],
    ['mock.fail_at', { fail_at: true }],
    ['mock.fail_code', { fail_code: 'no_such_code' }],
    ['mock.fail_code', { fail_code: 'toString' }],
    ['mock.truncate_at', { truncate_at: NaN }],
    ['mock.reasoning_tokens', { reasoning_tokens: -1 }],
    ['mock.tool_call', { tool_call: false }],
    ['mock.tokenz', { tokenz: 5 }],
  ])('are refused before the stream exists, and named: %s', (path, knobs) => {
    expect(() => mock().check!(ask(knobs))).toThrow(
      expect.objectContaining({ code: 'invalid_request', faults: [expect.objectContaining({ path })] }),
    )
  })

  it('are all named at once', () => {
    const faults = ['mock.tokens', 'mock.seed'].map((path) => expect.objectContaining({ path }))
    expect(() => mock().check!(ask({ tokens: -1, seed: 'x' }))).toThrow(expect.objectContaining({ faults }))
  })

  it('are none when there are none', () => {
    expect(() => mock().check!({ model: 'mock', messages: [] })).not.toThrow()
  })
})
