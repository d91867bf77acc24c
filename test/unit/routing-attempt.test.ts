import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Provider } from '../../providers/provider.ts'
import { SluiceError } from '../../src/errors.ts'
import { Run } from '../../src/routing/run.ts'
import type { Target } from '../../src/routing/target.ts'
import type { StreamEvent } from '../../src/stream/events.ts'
import { wait } from '../../src/stream/stop-signal.ts'
import { planOf, plays, ROLE, run, silence, STOP, targetOf, text, type Step } from './routing-plans.ts'

const timeouts: Target['timeouts'] = {
  connectTimeoutMs: 10_000,
  firstTokenTimeoutMs: 1_000_000,
  idleTimeoutMs: 1_000_000,
  totalTimeoutMs: undefined,
}

describe('a provider that neither goes on nor listens', () => {
  it.each([
    ['from the start', [silence], { firstTokenTimeoutMs: 10 }],
    ['before its first token', [ROLE, silence], { firstTokenTimeoutMs: 10 }],
    ['after tokens', [text('a'), text('b'), silence], { idleTimeoutMs: 10 }],
    ['in all', [text('a'), text('b'), silence], { totalTimeoutMs: 10 }],
  ])('is left when its time is over: %s', async (_, script, limits) => {
    const provider = plays('a', script)
    const ran = await run(planOf(targetOf(provider, { retries: 0, timeouts: { ...timeouts, ...limits } })))
    expect(ran).toMatchObject({ error: { code: 'upstream_timeout' }, ended: ['a:upstream_timeout'] })
    expect(provider.contexts[0]!.signal.reason).toBe(ran.error)
  })

  it('has no time left for a first token that comes when all of it is over', async () => {
    const late: Provider = {
      name: 'a',
      stream: () => ({
        [Symbol.asyncIterator]: () => expect.unreachable('it can push'),
        pushTo(sink) {
          setImmediate(() => {
            // The loop was busy: the token comes before the timer that was due.
            for (const start = performance.now(); performance.now() - start < 20;);
            sink.push([text('late')], performance.now())
          })
          return () => {}
        },
      }),
    }
    const ran = await run(
      planOf(
        targetOf(late, { retries: 0, timeouts: { ...timeouts, totalTimeoutMs: 10 } }),
        targetOf(plays('b', [text('here'), STOP])),
      ),
    )
    expect(ran).toMatchObject({
      text: 'here',
      ended: ['a:upstream_timeout', 'b:ok'],
      answers: [{ provider: 'b', attempts: 2 }],
    })
  })

  it('does not keep the next target from answering', async () => {
    const slow = targetOf(plays('a', [silence]), { retries: 1, timeouts: { ...timeouts, firstTokenTimeoutMs: 10 } })
    const ran = await run(planOf(slow, targetOf(plays('b', [text('here'), STOP]))))
    expect(ran).toMatchObject({
      text: 'here',
      ended: ['a:upstream_timeout', 'a:upstream_timeout', 'b:ok'],
      answers: [{ provider: 'b', attempts: 3 }],
    })
  })

  it.each<[when: string, before: Step, answers: number]>([
    ['before its first token', ROLE, 0],
    ['after tokens', text('a'), 1],
  ])('is left at once when the request is over: %s', async (_, before, answers) => {
    const gone = new AbortController()
    const ignore = () => {
      setImmediate(() => gone.abort(new Error('gone')))
      return silence()
    }
    const provider = plays('a', [before, ignore])
    const ran = await run(planOf(targetOf(provider)), { signal: gone.signal })
    expect(ran).toMatchObject({ error: new Error('gone'), ended: ['a:cancelled'] })
    expect(ran.answers).toHaveLength(answers)
    expect(provider.contexts[0]!.signal.aborted).toBe(true)
  })
})

describe('a request that is over', () => {
  it('begins nothing', async () => {
    const provider = plays('a', [STOP])
    const ran = await run(planOf(targetOf(provider)), { signal: AbortSignal.abort(new Error('gone')) })
    expect(ran).toMatchObject({ error: new Error('gone'), answers: [], ended: [] })
    expect(provider.requests).toEqual([])
  })

  it('ends the wait before a retry at once', async () => {
    const gone = new AbortController()
    const busy = new SluiceError('upstream_rate_limited', 'busy', { retryAfter: 9 })
    const provider = plays('a', [busy])
    const ran = await run(planOf(targetOf(provider)), {
      signal: gone.signal,
      pause: (milliseconds, signal) => {
        setImmediate(() => gone.abort(new Error('gone')))
        return wait(milliseconds, signal)
      },
    })
    expect(ran).toMatchObject({ error: new Error('gone'), answers: [] })
    expect(provider.requests).toHaveLength(1)
  })

  it('tells the provider, and leaves nothing behind on its signal', async () => {
    const listeners = new Set<unknown>()
    const { signal } = new AbortController()
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (type: string, listener: never) => {
      listeners.add(listener)
      add(type, listener)
    }
    signal.removeEventListener = (type: string, listener: never) => {
      listeners.delete(listener)
      remove(type, listener)
    }
    const provider = plays('a', [new SluiceError('upstream_unavailable', 'busy')], [text('x'), STOP])
    await run(planOf(targetOf(provider)), { signal })
    expect(provider.contexts.map((context) => context.signal.aborted)).toEqual([true, true])
    expect(listeners.size).toBe(0)
  })
})

it('a provider whose answer has ended is told so by a reason that is no failure', async () => {
  const provider = plays('a', [STOP])
  await run(planOf(targetOf(provider)))
  const { reason } = provider.contexts[0]!.signal
  expect(reason).toMatchObject({ name: 'AbortError', message: 'The attempt has ended.' })
  expect(reason).not.toHaveProperty('code')
  expect(reason).not.toBeInstanceOf(SluiceError)
})

describe('time', () => {
  beforeEach(
    () =>
      void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] }),
  )
  afterEach(() => void vi.useRealTimers())

  const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
  const idle = { timeouts: { ...timeouts, idleTimeoutMs: 100 } }

  it('leaves no timer behind, however an attempt ends', async () => {
    const busy = new SluiceError('upstream_not_found', 'no')
    await run(planOf(targetOf(plays('a', [busy])), targetOf(plays('b', [text('x'), busy]))))
    await run(planOf(targetOf(plays('a', [text('x'), STOP]))))
    expect(vi.getTimerCount()).toBe(0)
  })

  describe('of an upstream that sends only comments', () => {
    /** Pushes `first`, then ten comments, one every 60 ms, and then `done`. */
    const comments = (...first: StreamEvent[]): Provider => ({
      name: 'a',
      stream: () => ({
        [Symbol.asyncIterator]: () => expect.unreachable('it can push'),
        pushTo(sink) {
          if (first.length > 0) sink.push(first, performance.now())
          let left = 10
          const timer = setInterval(() => {
            if (left-- > 0) return sink.alive?.(performance.now(), 0)
            clearInterval(timer)
            sink.push([STOP], performance.now())
          }, 60)
          return () => clearInterval(timer)
        },
      }),
    })

    it('is not up after its first token, for it is not silent', async () => {
      const running = run(planOf(targetOf(comments(text('x')), idle)))
      await vi.advanceTimersByTimeAsync(700)
      expect(await running).toMatchObject({ events: [text('x'), STOP], error: undefined, ended: ['a:ok'] })
    })

    it.each([{ first: [] }, { first: [ROLE] }])(
      'is up when its first token is late: after $first',
      async ({ first }) => {
        const late = { retries: 0, timeouts: { ...timeouts, firstTokenTimeoutMs: 100 } }
        const running = run(planOf(targetOf(comments(...first), late)))
        await vi.advanceTimersByTimeAsync(100)
        expect(await running).toMatchObject({ events: [], error: { code: 'upstream_timeout' } })
      },
    )
  })

  it('is not won with lists that hold nothing', async () => {
    const empty: Step[] = Array.from({ length: 5 }, () => [() => pause(60), []]).flat()
    const running = run(planOf(targetOf(plays('a', [text('x'), ...empty, STOP]), idle)))
    await vi.advanceTimersByTimeAsync(300)
    expect(await running).toMatchObject({ text: 'x', error: { code: 'upstream_timeout' } })
  })
})

describe('a reader that leaves', () => {
  it('ends the provider', async () => {
    const provider = plays('a', [text('a'), text('b'), text('c'), STOP])
    const input = { messages: [{ role: 'user' as const, content: 'hi' }] }
    const gone = new AbortController()
    const sink = { answeredBy: () => {}, push: () => gone.abort(), end: () => {} }
    await new Run(planOf(targetOf(provider)), sink, { signal: gone.signal, streamId: 'str_1' }).open(input)
    await new Promise((resolve) => setImmediate(resolve))
    expect(provider.left).toBe(1)
    expect(provider.contexts[0]!.signal.aborted).toBe(true)
  })
})

describe('an iterator that is no generator', () => {
  const iterated = (next: () => unknown, more: object = {}): Provider => ({
    name: 'a',
    stream: () => ({ [Symbol.asyncIterator]: () => ({ next, ...more }) }) as never,
  })

  it.each<[what: string, next: () => unknown]>([
    [
      'throws',
      () => {
        throw new TypeError('no')
      },
    ],
    ['returns no promise', () => ({ done: true })],
    ['resolves to nothing', async () => undefined],
  ])('and %s has failed', async (_, next) => {
    const ran = await run(planOf(targetOf(iterated(next))))
    expect(ran.ended).toEqual(['a:provider_failed'])
  })

  it('may fail as it is left', async () => {
    const results = [text('x'), STOP].map((value) => ({ done: false, value }))
    const fail = () => {
      throw new Error('no')
    }
    const ran = await run(planOf(targetOf(iterated(async () => results.shift(), { return: fail }))))
    expect(ran).toMatchObject({ text: 'x', error: undefined, ended: ['a:ok'] })
  })

  it('may yield lists of nothing, which are not passed on', async () => {
    const ran = await run(planOf(targetOf(plays('a', [[], ROLE, [], text('x'), [], [], STOP]))))
    expect(ran.events).toEqual([ROLE, text('x'), STOP])
  })
})
