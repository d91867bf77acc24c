import * as fc from 'fast-check'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { StreamEvent } from '../../src/stream/events.ts'
import { StreamLog, type Batch } from '../../src/stream/stream-log.ts'
import { follow, Subscription } from '../../src/stream/readers.ts'

const DONE = { type: 'done', finish_reason: 'stop' } as const

function logOf(...events: (string | StreamEvent)[]): StreamLog {
  const log = new StreamLog({ id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0 })
  for (const event of events) log.append(typeof event === 'string' ? { type: 'delta', content: event } : event)
  return log
}

function subscribe(log: StreamLog, cursor: number, wake = () => {}): Subscription {
  return new Subscription(log, cursor, (from) => log.read(from), wake)
}

function textOf(batches: readonly Batch[]): string {
  return batches
    .flatMap(({ events }) => events)
    .map(({ event }) => (event.type === 'delta' ? (event.content ?? '') : '.'))
    .join('')
}

async function collect(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const all: Batch[] = []
  for await (const batch of batches) all.push(batch)
  return all
}

describe('Subscription', () => {
  it('hands over each event once, and moves its cursor with it', () => {
    const log = logOf('a', 'b')
    const subscription = subscribe(log, 0)
    expect(textOf([subscription.next()!])).toBe('ab')
    expect(subscription.cursor).toBe(2)
    expect(subscription.next()).toBeUndefined()
    log.append({ type: 'delta', content: 'c' })
    expect(textOf([subscription.next()!])).toBe('c')
    expect(subscription.cursor).toBe(3)
  })

  it('has ended once done has been handed over, not when it is in the log', () => {
    const log = logOf('a')
    const subscription = subscribe(log, 0)
    subscription.next()
    expect(subscription.ended).toBe(false)
    log.append(DONE)
    expect(subscription.ended).toBe(false)
    subscription.next()
    expect(subscription.ended).toBe(true)
  })

  it('has ended from the start when its cursor is at the end of a finished log', () => {
    expect(subscribe(logOf('a', DONE), 2).ended).toBe(true)
    expect(subscribe(logOf('a', DONE), 1).ended).toBe(false)
    expect(subscribe(logOf('a'), 1).ended).toBe(false)
  })

  it('waits when its cursor is ahead of the log, and goes on behind it', () => {
    const log = logOf('a')
    const subscription = subscribe(log, 2)
    expect([subscription.next(), subscription.ended]).toEqual([undefined, false])
    log.append({ type: 'delta', content: 'b' })
    expect([subscription.next(), subscription.ended]).toEqual([undefined, false])
    log.append({ type: 'delta', content: 'c' })
    expect(textOf([subscription.next()!])).toBe('c')
  })

  it('has ended when the log ends before its cursor', () => {
    const log = logOf('a')
    const subscription = subscribe(log, 3)
    log.append(DONE)
    expect([subscription.next(), subscription.ended]).toEqual([undefined, true])
  })

  it('is a reader of its log until it is closed', async () => {
    const log = logOf()
    let woken = 0
    const subscription = subscribe(log, 0, () => (woken += 1))
    expect(log.readers).toBe(1)
    subscription.close()
    subscription.close()
    log.append(DONE)
    await nextTurn()
    expect([log.readers, woken]).toEqual([0, 0])
  })

  it('reads with the function it was given', () => {
    const log = logOf('a', 'b')
    const subscription = new Subscription(
      log,
      1,
      (from) => (from < log.last ? { last: log.last, from } : undefined),
      () => {},
    )
    expect(subscription.next()).toEqual({ last: 2, from: 1 })
    expect(subscription.next()).toBeUndefined()
  })
})

describe('follow', () => {
  it('yields what is there and what comes, and ends after done', async () => {
    const log = logOf('a')
    const reading = collect(follow(log))
    await nextTurn()
    log.append({ type: 'delta', content: 'b' })
    await nextTurn()
    log.append(DONE)
    expect(textOf(await reading)).toBe('ab.')
    expect(log.readers).toBe(0)
  })

  it('ends at once behind done', async () => {
    expect(await collect(follow(logOf('a', DONE), 2))).toEqual([])
  })

  it('throws the reason of an abort while it waits, and leaves no reader', async () => {
    const log = logOf('a')
    const abort = new AbortController()
    const following = follow(log, 1, abort.signal)
    const waiting = following.next()
    await nextTurn()
    expect(log.readers).toBe(1)
    abort.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    expect(log.readers).toBe(0)
  })

  it('throws the reason of an abort that came first, though there is more to read', async () => {
    const log = logOf('a')
    await expect(follow(log, 0, AbortSignal.abort(new Error('gone'))).next()).rejects.toThrow('gone')
    expect(log.readers).toBe(0)
  })

  it('leaves no reader when whoever iterates stops', async () => {
    const log = logOf('a')
    for await (const batch of follow(log)) {
      expect(batch.last).toBe(1)
      expect(log.readers).toBe(1)
      break
    }
    expect(log.readers).toBe(0)
  })

  it('loses and repeats nothing, for any readers from any cursor, however the log grows', async () => {
    // Per turn of the event loop: how many tokens are appended, and at which cursor a new reader starts.
    const turns = fc.array(fc.tuple(fc.nat({ max: 3 }), fc.option(fc.nat())), { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(turns, async (schedule) => {
        const log = logOf()
        const readers: { cursor: number; batches: Promise<Batch[]> }[] = []
        let text = ''
        for (const [tokens, start] of schedule) {
          if (start !== null) {
            const cursor = start % (log.last + 1)
            readers.push({ cursor, batches: collect(follow(log, cursor)) })
          }
          for (let i = 0; i < tokens; i++) {
            const content = String.fromCharCode(97 + (log.last % 26))
            text += content
            log.append({ type: 'delta', content })
          }
          await nextTurn()
        }
        log.append(DONE)
        for (const { cursor, batches } of readers) expect(textOf(await batches)).toBe(`${text.slice(cursor)}.`)
        expect(log.readers).toBe(0)
      }),
    )
  })
})
