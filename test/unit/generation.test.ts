import * as fc from 'fast-check'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { ProviderError } from '../../providers/provider.ts'
import { SluiceError } from '../../src/errors.ts'
import type { Done, StreamEvent } from '../../src/stream/events.ts'
import type { Produced } from '../../src/stream/source.ts'
import { eventsOf, newGeneration, produced, runGeneration, silence, STOP, STOPPED, text } from './run-generation.ts'

function failure(code: string, retryable = false): unknown {
  return expect.objectContaining({
    type: 'done',
    finish_reason: 'error',
    error: { code, message: expect.any(String), retryable },
  })
}

describe('a provider that keeps its contract', () => {
  it('fills the log with what it yields, one by one or in arrays', async () => {
    expect(await runGeneration(() => produced(text('a'), [text('b'), text('c')], [], STOP))).toEqual([
      text('abc'),
      STOPPED,
    ])
  })

  it('may end in the array that brings the last tokens', async () => {
    expect(await runGeneration(() => produced([text('a'), STOP]))).toEqual([text('a'), STOPPED])
  })

  it('may name its model and itself in done', async () => {
    const done: Done = { type: 'done', finish_reason: 'length', model: 'm-1-2024', provider: 'elsewhere' }
    expect(await runGeneration(() => produced(done))).toEqual([done])
  })

  it('may fail with a done of its own', async () => {
    const error = { code: 'upstream_error', message: 'No.', retryable: true }
    expect(await runGeneration(() => produced({ type: 'done', finish_reason: 'error', error }))).toMatchObject([
      { finish_reason: 'error', error },
    ])
  })
})

describe('a provider that cuts a surrogate pair in two', () => {
  it('fills the log with whole characters', async () => {
    const generation = newGeneration(() => produced(text('a\ud83d'), text('\ude00'), text('b'), STOP))
    await generation.run()
    expect([1, 2, 3].map((cursor) => generation.log.read(cursor - 1, cursor)?.events[0]?.event)).toEqual([
      text('a'),
      text('😀'),
      text('b'),
    ])
  })

  it('ends with the half that it never completed, whatever ends it', async () => {
    const half = text('\ud83d')
    expect(await runGeneration(() => produced(text('a'), half, STOP))).toEqual([text('a\ud83d'), STOPPED])
    expect(await runGeneration(() => produced(half))).toMatchObject([half, { error: { code: 'upstream_truncated' } }])
  })
})

it('a text that is too long for one line becomes several events', async () => {
  const long = '漢'.repeat(10_000)
  const generation = newGeneration(() => produced(text(long), STOP))
  await generation.run()
  expect(generation.log.last).toBe(4)
  expect(eventsOf(generation.log)).toEqual([text(long), STOPPED])
})

describe('a provider that throws', () => {
  const error = new ProviderError({ code: 'upstream_rate_limited', message: 'Slow down.', retryAfter: 3 })

  async function* throwing(thrown: unknown, ...items: Produced[]) {
    yield* items
    throw thrown
  }

  it('ends the stream with its code, words and advice, before the first token as after it', async () => {
    const told = { code: 'upstream_rate_limited', message: 'Slow down.', retryable: true }
    expect(await runGeneration(() => throwing(error))).toMatchObject([{ finish_reason: 'error', error: told }])
    expect(await runGeneration(() => throwing(error, text('a')))).toMatchObject([
      text('a'),
      { finish_reason: 'error', error: told },
    ])
  })

  it.each<[string, unknown]>([
    ['an error of any other kind', new Error('key sk-1 was refused')],
    ['a text', 'key sk-1 was refused'],
    ['nothing', undefined],
  ])('is named, not quoted, when it throws %s', async (_, thrown) => {
    const events = await runGeneration(() => throwing(thrown))
    expect(events).toEqual([failure('provider_failed')])
    expect(JSON.stringify(events)).not.toContain('sk-1')
  })

  it('ends the stream also when it throws before it is iterated, or yields nothing to iterate', async () => {
    const refuses = () => {
      throw error
    }
    expect(await runGeneration(refuses)).toEqual([failure('upstream_rate_limited', true)])
    expect(await runGeneration(() => ({}) as AsyncIterable<Produced>)).toEqual([failure('provider_failed')])
  })
})

describe('a provider that ends without done', () => {
  it('is never a success', async () => {
    expect(await runGeneration(() => produced())).toEqual([failure('upstream_truncated', true)])
    expect(await runGeneration(() => produced([text('a'), text('b')]))).toEqual([
      text('ab'),
      failure('upstream_truncated', true),
    ])
  })
})

describe('a provider that goes on after done', () => {
  it('is not heard', async () => {
    expect(await runGeneration(() => produced([text('a'), STOP, text('b'), STOP]))).toEqual([text('a'), STOPPED])
  })

  it('is read no further, and is told so', async () => {
    let cleanedUp = false
    let signal: AbortSignal | undefined
    async function* produce(given: AbortSignal) {
      signal = given
      try {
        yield STOP
        yield text('b')
      } finally {
        cleanedUp = true
      }
    }
    expect(await runGeneration(produce)).toEqual([STOPPED])
    expect([cleanedUp, signal?.aborted]).toEqual([true, true])
  })
})

describe('a log that takes no more', () => {
  it('ends the stream with the reason, and stops the provider', async () => {
    const full = new SluiceError('stream_too_large', 'The stream is larger than 3 bytes.')
    let admitted = 0
    const keeper = {
      admit: (_: unknown, __: number, final: boolean) => {
        if (!final && ++admitted > 2) throw full
      },
      held: () => {},
      ended: () => {},
    }
    let signal: AbortSignal | undefined
    async function* endless(given: AbortSignal) {
      signal = given
      while (true) yield text('a')
    }
    expect(await runGeneration(endless, { keeper })).toEqual([text('aa'), failure('stream_too_large')])
    expect(signal?.aborted).toBe(true)
  })
})

describe('a provider that is slow to clean up', () => {
  it('keeps no reader waiting for a done that is due', async () => {
    for (const last of [STOP, 'nonsense' as unknown as StreamEvent]) {
      const generation = newGeneration(async function* () {
        try {
          yield last
        } finally {
          await silence()
        }
      })
      void generation.run()
      await nextTurn()
      expect(eventsOf(generation.log)).toEqual([last === STOP ? STOPPED : failure('provider_invalid_event')])
    }
  })
})

describe('whatever a provider does', () => {
  it('the log is what it yielded before its end, and exactly one done', async () => {
    const anyItem = fc.oneof(
      { weight: 4, arbitrary: fc.array(fc.string().map(text), { maxLength: 3 }) },
      { weight: 2, arbitrary: fc.string().map(text) },
      fc.constant(STOP),
      fc.constant([text('x'), STOP, text('y')]),
      fc.constant('throw' as const),
      fc.constant('pause' as const),
      fc.constantFrom(null, 7, { type: 'delta', content: 1 }, { type: 'error' }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(anyItem, { maxLength: 12 }), async (script) => {
        const yielded: StreamEvent[] = []
        const events = await runGeneration(async function* () {
          for (const item of script) {
            if (item === 'throw') throw new Error('thrown')
            if (item === 'pause') await nextTurn()
            else {
              yielded.push(...([item].flat() as StreamEvent[]))
              yield item as Produced
            }
          }
        })
        const texts = yielded
          .slice(0, yielded.findIndex(isNoText) >>> 0)
          .map((event) => 'content' in event && event.content)
        expect(events.map((event) => ('content' in event ? event.content : '')).join('')).toBe(texts.join(''))
        expect(events.filter(({ type }) => type === 'done')).toHaveLength(1)
        expect(events.at(-1)!.type).toBe('done')
      }),
    )
  })
})

/** The first of these ends the stream, well or badly. */
function isNoText(event: unknown): boolean {
  return typeof event !== 'object' || event === null || !('content' in event) || typeof event.content !== 'string'
}
