import * as fc from 'fast-check'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SluiceError } from '../../src/errors.ts'
import type { Delta, StreamEvent } from '../../src/stream/events.ts'
import { StreamLog, type Batch, type LogKeeper } from '../../src/stream/stream-log.ts'
import { accumulate, anyDelta } from './any-delta.ts'

const DONE = { type: 'done', finish_reason: 'stop' } as const

function newLog(keeper?: LogKeeper): StreamLog {
  return new StreamLog({ id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0 }, keeper)
}

function text(content: string): Delta {
  return { type: 'delta', content }
}

function readAll(log: StreamLog, cursor = 0): Batch[] {
  const batches: Batch[] = []
  for (let batch = log.read(cursor); batch; batch = log.read(batch.last)) batches.push(batch)
  return batches
}

function deltasOf(batches: Batch[]): Delta[] {
  return batches.flatMap(({ events }) => events.map(({ event }) => event)).filter((event) => event.type === 'delta')
}

describe('appending', () => {
  it('numbers events from 1', () => {
    const log = newLog()
    expect(log.last).toBe(0)
    log.append(text('a'))
    log.append({ type: 'delta', reasoning: 'b' })
    log.append(DONE)
    expect(log.last).toBe(3)
    expect(log.read(0)!.events.map(({ seq }) => seq)).toEqual([1, 2, 3])
  })

  it('takes nothing after done', () => {
    const log = newLog()
    log.append(DONE)
    expect(() => log.append(text('a'))).toThrow(SluiceError)
    expect(() => log.append(DONE)).toThrow(SluiceError)
    expect(log.last).toBe(1)
    expect(log.done).toEqual(DONE)
  })

  it('keeps nothing that its keeper refuses', () => {
    const log = newLog({
      admit: () => {
        throw new SluiceError('store_full', 'No room.')
      },
      held: () => {},
      ended: () => {},
    })
    const { bytes } = log
    expect(() => log.append(text('a'))).toThrow('No room.')
    expect([log.last, log.bytes, log.read(0)]).toEqual([0, bytes, undefined])
  })

  it('tells its keeper of every byte before it is kept, and of the end once', () => {
    const told: unknown[] = []
    const log = newLog({
      admit: (asking, bytes, final) => told.push([asking.bytes + bytes, final]),
      held: () => {},
      ended: ({ done }) => told.push(done),
    })
    log.append(text('a'))
    const first = log.bytes
    log.append(DONE)
    expect(told).toEqual([[first, false], [log.bytes, true], DONE])
  })
})

describe('reading', () => {
  it('finds nothing behind the end', () => {
    const log = newLog()
    expect(log.read(0)).toBeUndefined()
    log.append(text('a'))
    expect(log.read(1)).toBeUndefined()
    expect(log.read(7)).toBeUndefined()
  })

  it('merges adjacent deltas into one that carries the last seq', () => {
    const log = newLog()
    for (const content of ['Hel', 'lo, ', 'world']) log.append(text(content))
    log.append(DONE)
    expect(log.read(0)).toEqual({
      events: [
        { seq: 3, event: text('Hello, world') },
        { seq: 4, event: DONE },
      ],
      last: 4,
      count: 4,
    })
    expect(log.read(1)!.events[0]).toEqual({ seq: 3, event: text('lo, world') })
  })

  it('finds nothing behind the end that it is given', () => {
    const log = newLog()
    for (const content of ['a', 'b', 'c']) log.append(text(content))
    expect(log.read(0, 2)).toEqual({ events: [{ seq: 2, event: text('ab') }], last: 2, count: 2 })
    expect(log.read(2, 2)).toBeUndefined()
  })

  it('finds the same each time: reading changes nothing', () => {
    const log = newLog()
    const reasoning = { type: 'delta', reasoning: 'a' } as const
    log.append({ ...reasoning })
    log.append({ ...reasoning })
    log.read(0)
    expect(log.read(1)!.events).toEqual([{ seq: 2, event: reasoning }])
    expect(log.read(0)!.events).toEqual([{ seq: 2, event: { type: 'delta', reasoning: 'aa' } }])
  })

  // What waits in a full socket must stay small, however far behind its reader is.
  it.each<[string, (piece: string) => StreamEvent]>([
    ['content', (content) => ({ type: 'delta', content })],
    ['content of a second choice', (content) => ({ type: 'delta', index: 1, content })],
    ['reasoning', (reasoning) => ({ type: 'delta', reasoning })],
    ['refusal', (refusal) => ({ type: 'delta', refusal })],
    ['arguments', (piece) => ({ type: 'delta', tool_calls: [{ index: 0, function: { arguments: piece } }] })],
    [
      'arguments of a second call',
      (piece) => ({
        type: 'delta',
        tool_calls: [
          { index: 0, function: { arguments: '' } },
          { index: 1, function: { arguments: piece } },
        ],
      }),
    ],
    ['carried fields', (piece) => ({ type: 'delta', content: 'a', carried: { mine: { logprobs: piece } } })],
    ['two kinds', (piece) => ({ type: 'delta', content: 'a', reasoning: piece })],
  ])('brings a long log in batches of bounded size: %s', (_, toEvent) => {
    const log = newLog()
    for (let i = 0; i < 1000; i++) log.append(toEvent('x'.repeat(1000)))
    const batches = readAll(log)
    for (const { count } of batches) expect(count).toBeLessThanOrEqual(17)
    expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(1000)
  })

  it.each<[string, StreamEvent[]]>([
    [
      'texts of two fields',
      [
        { type: 'delta', content: '' },
        { type: 'delta', reasoning: '' },
      ],
    ],
    ['a second choice', [{ type: 'delta', index: 1, content: '' }]],
    ['a role', [{ type: 'delta', role: 'assistant' }]],
    ['nothing at all', [{ type: 'delta' }]],
  ])('brings events without text in batches of bounded number: %s', (_, events) => {
    const log = newLog()
    for (let i = 0; i < 2000; i++) log.append(events[i % events.length]!)
    const batches = readAll(log)
    for (const batch of batches) expect(batch.count).toBeLessThanOrEqual(256)
    expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(2000)
  })

  it('returns the same full batch whenever it is read', () => {
    const longer = anyDelta.map((delta): Delta => ({ ...delta, content: (delta.content ?? '').padEnd(6000, '.') }))
    const short = fc.constantFrom<Delta>(text(''), text('a'), { type: 'delta', reasoning: '' })
    const deltas = fc.array(
      fc.oneof({ weight: 8, arbitrary: short }, { weight: 2, arbitrary: anyDelta }, { weight: 1, arbitrary: longer }),
      { size: 'max', maxLength: 1500 },
    )
    fc.assert(
      fc.property(deltas, fc.nat(), (appended, at) => {
        const log = newLog()
        const cursor = at % (appended.length + 1)
        let first: Batch | undefined
        for (const delta of appended) {
          log.append(delta)
          if (first) continue
          const batch = log.read(cursor)
          if (batch && batch.last < log.last) first = batch
        }
        if (first) expect(log.read(cursor)).toEqual(first)
      }),
      { numRuns: 25 },
    )
  })

  it('does not serialise events on reading', () => {
    const log = newLog()
    let written = 0
    const mine = { toJSON: () => (written += 1) }
    for (let i = 0; i < 10; i++) log.append({ type: 'delta', content: 'a', carried: { mine } })
    const appending = written
    readAll(log)
    expect(written).toBe(appending)
  })

  it('brings an event that is larger than a batch by itself', () => {
    const log = newLog()
    const large = 'x'.repeat(100_000)
    log.append(text(large))
    log.append(text('a'))
    expect(log.read(0)).toEqual({ events: [{ seq: 1, event: text(large) }], last: 1, count: 1 })
  })

  it('yields from any cursor exactly the rest of the log, with ids that rise', () => {
    const longer = anyDelta.map((delta): Delta => ({ ...delta, content: (delta.content ?? '').padEnd(6000, '.') }))
    const deltas = fc.array(fc.oneof({ weight: 5, arbitrary: anyDelta }, { weight: 1, arbitrary: longer }))
    fc.assert(
      fc.property(deltas, fc.boolean(), fc.nat(), (appended, ends, at) => {
        const log = newLog()
        for (const delta of appended) log.append(delta)
        if (ends) log.append(DONE)
        const cursor = at % (log.last + 1)
        const batches = readAll(log, cursor)
        const seqs = batches.flatMap(({ events }) => events.map(({ seq }) => seq))

        expect(accumulate(deltasOf(batches))).toEqual(accumulate(appended.slice(cursor)))
        expect(seqs.every((seq, index) => seq > (seqs[index - 1] ?? cursor))).toBe(true)
        expect(seqs.at(-1) ?? cursor).toBe(log.last)
        expect(batches.map(({ events }) => events.at(-1)!.seq)).toEqual(batches.map(({ last }) => last))
        expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(log.last - cursor)
        const dones = batches.flatMap(({ events }) => events).filter(({ event }) => event.type === 'done')
        expect(dones).toHaveLength(ends && cursor < log.last ? 1 : 0)
      }),
    )
  })
})

describe('waking', () => {
  it('wakes each reader once for all that one turn of the event loop brought', async () => {
    const log = newLog()
    const woken: string[] = []
    log.subscribe(() => woken.push(`a at ${log.last}`))
    log.subscribe(() => woken.push(`b at ${log.last}`))
    log.append(text('1'))
    await Promise.resolve()
    log.append(text('2'))
    expect(woken).toEqual([])
    await nextTurn()
    expect(woken).toEqual(['a at 2', 'b at 2'])
    log.append(DONE)
    await nextTurn()
    await nextTurn()
    expect(woken).toEqual(['a at 2', 'b at 2', 'a at 3', 'b at 3'])
  })

  it('does not wake a reader that has left', async () => {
    const log = newLog()
    let woken = 0
    const unsubscribe = log.subscribe(() => (woken += 1))
    log.append(text('1'))
    unsubscribe()
    await nextTurn()
    expect(woken).toBe(0)
  })

  it('wakes readers for what is appended while they are woken', async () => {
    const log = newLog()
    const woken: number[] = []
    log.subscribe(() => {
      woken.push(log.last)
      if (log.last < 3) log.append(text('more'))
    })
    log.append(text('1'))
    for (let turn = 0; turn < 4; turn++) await nextTurn()
    expect(woken).toEqual([1, 2, 3])
  })

  it('wakes all readers of all logs, though one of them throws', async () => {
    const uncaught = catchUncaught()
    const [log, other] = [newLog(), newLog()]
    const woken: string[] = []
    log.subscribe(() => {
      throw new Error('This reader is broken.')
    })
    log.subscribe(() => woken.push(`second of the same log at ${log.last}`))
    other.subscribe(() => woken.push(`other log at ${other.last}`))
    for (const each of [log, other]) each.append(text('a'))
    await nextTurn()
    await nextTurn()
    expect(woken).toEqual(['second of the same log at 1', 'other log at 1'])
    expect(uncaught).toEqual([new Error('This reader is broken.')])
    log.append(text('b'))
    await nextTurn()
    expect(woken.slice(2)).toEqual(['second of the same log at 2'])
    await nextTurn()
  })

  it('counts its readers, and tells whenever their number changes', () => {
    const log = newLog()
    const counts: number[] = []
    log.readerCount.listen({ readersChanged: () => void counts.push(log.readers) })
    const wake = () => {}
    const first = log.subscribe(wake)
    const second = log.subscribe(wake)
    expect(log.readers).toBe(2)
    first()
    first()
    second()
    expect(log.readers).toBe(0)
    expect(counts).toEqual([1, 2, 1, 0])
  })
})

/** Uncaught exceptions until the end of the test, which vitest would take for failures. */
function catchUncaught(): unknown[] {
  const errors: unknown[] = []
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => errors.push(error))
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException')
    for (const listener of before) process.on('uncaughtException', listener)
  })
  return errors
}
