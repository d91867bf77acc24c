import * as fc from 'fast-check'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '../../src/errors.ts'
import type { Delta, StreamEvent } from '../../src/stream/events.ts'
import { lastOf, type Piece } from '../../src/stream/piece.ts'
import { StreamLog, type AnsweredBy, type Batch, type LogKeeper } from '../../src/stream/stream-log.ts'
import { anyDelta } from './any-delta.ts'

const INFO = {
  id: 'str_1',
  owner: 'ada',
  model: 'm',
  provider: 'p',
  created: 0,
  protocol: 'native',
  labels: { a: 'b' },
}
const DONE = { type: 'done', finish_reason: 'stop' } as const
const ANSWER: AnsweredBy = { provider: 'p', model: 'm-1', attempts: 2 }

const newLog = (keeper?: LogKeeper) => new StreamLog(INFO, keeper)
const text = (content: string): Delta => ({ type: 'delta', content })

function logOf(...steps: (string | StreamEvent | { answer: AnsweredBy })[]): StreamLog {
  const log = newLog()
  for (const step of steps) apply(log, step)
  return log
}

function apply(log: StreamLog, step: string | StreamEvent | { answer: AnsweredBy }): void {
  if (typeof step === 'string') log.append(text(step))
  else if ('answer' in step) log.appendAnswer(step.answer)
  else log.append(step)
}

function readAll(log: StreamLog, cursor: number): Batch[] {
  const batches: Batch[] = []
  for (let batch = log.read(cursor); batch; batch = log.read(batch.last)) batches.push(batch)
  return batches
}

/** All that can be seen of a log. */
function stateOf(log: StreamLog) {
  const reads = Array.from({ length: log.last + 1 }, (_, cursor) => readAll(log, cursor))
  return { last: log.last, bytes: log.bytes, done: log.done, answer: log.answer, reads, pieces: [...log.pieces()] }
}

/** As it comes over a wire. */
const sent = (piece: Piece): Piece => JSON.parse(JSON.stringify(piece))

/** Appends up to `most` pieces that the follower does not have. */
function follow(log: StreamLog, follower: StreamLog, most = Infinity): void {
  for (const piece of log.pieces(follower.last)) if (most-- > 0) follower.appendPiece(sent(piece))
}

function expectSame(follower: StreamLog, log: StreamLog): void {
  for (let cursor = 0; cursor <= log.last; cursor++)
    expect(readAll(follower, cursor), `from ${cursor}`).toEqual(readAll(log, cursor))
  expect([follower.last, follower.bytes, follower.done]).toEqual([log.last, log.bytes, log.done])
}

const short = fc.constantFrom('', 'a', 'é', '\ud83d', '\ude00', '\n')
const anyEvent: fc.Arbitrary<StreamEvent> = fc.oneof(
  { weight: 12, arbitrary: short.map(text) },
  { weight: 2, arbitrary: short.map((reasoning): Delta => ({ type: 'delta', reasoning })) },
  { weight: 4, arbitrary: anyDelta },
  { weight: 1, arbitrary: anyDelta.map((delta): Delta => ({ ...delta, carried: { mine: { a: 'x'.repeat(300) } } })) },
  { weight: 1, arbitrary: fc.constantFrom(6000, 70_000).map((length) => text('.'.repeat(length))) },
)
const anyAnswer = fc.record({ provider: fc.string(), model: fc.string(), attempts: fc.nat(3) })
const anyStep = fc.oneof(
  { weight: 40, arbitrary: anyEvent },
  { weight: 1, arbitrary: anyAnswer.map((answer) => ({ answer })) },
  // The follower is sent so many pieces.
  { weight: 4, arbitrary: fc.record({ pieces: fc.nat(3) }) },
)
const anySteps = fc.array(anyStep, { size: 'max', maxLength: 300 })

describe('a log that is filled with the pieces of another', () => {
  it('reads the same from every cursor, also while it grows', () => {
    fc.assert(
      fc.property(anySteps, fc.boolean(), (steps, ends) => {
        const log = newLog()
        const follower = newLog()
        const events: StreamEvent[] = []
        for (const step of steps) {
          if ('pieces' in step) {
            follow(log, follower, step.pieces)
            const cursor = Math.floor(follower.last / 2)
            expect(readAll(follower, cursor)).toEqual(readAll(logOf(...events.slice(0, follower.last)), cursor))
          } else {
            apply(log, step)
            if ('type' in step) events.push(step)
          }
        }
        if (ends) log.append(DONE)
        follow(log, follower)
        expectSame(follower, log)
        if (ends) expect(follower.answer).toEqual(log.answer)
      }),
      { numRuns: 60 },
    )
  })

  it('has the same pieces, for those who follow it', () => {
    fc.assert(
      fc.property(anySteps, fc.nat(), (steps, at) => {
        const log = newLog()
        for (const step of steps) if (!('pieces' in step)) apply(log, step)
        log.append(DONE)
        const follower = newLog()
        follow(log, follower)
        const from = at % (log.last + 1)
        expect([...follower.pieces(from)].map(sent)).toEqual([...log.pieces(from)].map(sent))
      }),
      { numRuns: 60 },
    )
  })

  it('refuses a duplicate, a gap and what comes after done, and stays as it is', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 150 }), fc.nat(), (events, at) => {
        const log = logOf(...events, DONE)
        const follower = newLog()
        follow(log, follower, at % 8)
        const before = stateOf(follower)
        for (let from = 0; from < log.last; from++) {
          if (from === follower.last && !follower.done) continue
          const [piece] = log.pieces(from)
          expect(() => follower.appendPiece(piece!)).toThrow(SluiceError)
        }
        expect(stateOf(follower)).toEqual(before)
        follow(log, follower)
        expectSame(follower, log)
        for (const piece of log.pieces()) expect(() => follower.appendPiece(piece)).toThrow(SluiceError)
        expect(() => follower.appendPiece({ first: follower.last + 1, event: DONE })).toThrow(SluiceError)
        expectSame(follower, log)
      }),
      { numRuns: 40 },
    )
  })

  it('wakes its readers', async () => {
    const follower = newLog()
    let woken = 0
    follower.subscribe(() => (woken += 1))
    follow(logOf('a', { type: 'delta', reasoning: 'b' }, DONE), follower)
    await nextTurn()
    expect([woken, follower.done]).toEqual([1, DONE])
  })
})

describe('pieces', () => {
  it('are single events and up to 64 texts, with the seq of the first', () => {
    const texts = Array.from({ length: 70 }, (_, i) => `${i} `)
    const role: Delta = { type: 'delta', role: 'assistant' }
    const pieces = [...logOf(role, ...texts, DONE).pieces()]
    expect(pieces).toMatchObject([
      { first: 1, event: role },
      {
        first: 2,
        field: 'content',
        text: texts.slice(0, 64).join(''),
        lengths: texts.slice(0, 64).map((t) => t.length),
      },
      { first: 66, field: 'content', text: texts.slice(64).join('') },
      { first: 72, event: DONE },
    ])
    expect(pieces.map(lastOf)).toEqual([1, 65, 71, 72])
  })

  it('begin after a seq, in the middle of what is packed together if need be', () => {
    const log = logOf(...Array.from({ length: 64 }, (_, i) => `${i % 10}`), 'ab', 'c')
    expect([...log.pieces(62)]).toEqual([
      { first: 63, field: 'content', text: '23', lengths: [1, 1] },
      { first: 65, field: 'content', text: 'abc', lengths: [2, 1] },
    ])
    expect([...log.pieces(65)]).toEqual([{ first: 66, field: 'content', text: 'c', lengths: [1] }])
    expect([...log.pieces(66)]).toEqual([])
  })

  it('are those of the time at which the first is asked for', () => {
    const log = logOf('a', DONE_LATER, 'b')
    const pieces: Piece[] = []
    for (const piece of log.pieces()) {
      pieces.push(piece)
      if (pieces.length === 1) for (let i = 0; i < 100; i++) log.append(text('more'))
    }
    expect(pieces.map(lastOf)).toEqual([1, 2, 3])
  })

  it('say who created the stream and who answers, each once, before the event that follows', () => {
    const log = logOf('a', { answer: ANSWER }, 'b', 'c')
    const created = { type: 'created', info: INFO }
    expect([...log.pieces()]).toEqual([
      { first: 1, field: 'content', text: 'a', lengths: [1], records: [created] },
      { first: 2, field: 'content', text: 'bc', lengths: [1, 1], records: [{ type: 'answered', answer: ANSWER }] },
    ])
    expect([...log.pieces(1)]).toMatchObject([{ first: 2, records: [{ type: 'answered' }] }])
    expect([...log.pieces(2)]).toEqual([{ first: 3, field: 'content', text: 'c', lengths: [1] }])
  })
})

const DONE_LATER: Delta = { type: 'delta', role: 'assistant' }

describe('the answer', () => {
  it('is the last that was appended; a log that follows has it with the event after it', () => {
    const log = logOf({ answer: ANSWER }, { answer: { ...ANSWER, model: 'm-2' } })
    const follower = newLog()
    follow(log, follower)
    expect([log.answer?.model, follower.answer]).toEqual(['m-2', undefined])
    log.append(DONE)
    follow(log, follower)
    expect(follower.answer).toEqual(log.answer)
    expect([...log.pieces()][0]!.records!.map(({ type }) => type)).toEqual(['created', 'answered', 'answered'])
  })

  it('is not taken after done', () => {
    const log = logOf(DONE)
    expect(() => log.appendAnswer(ANSWER)).toThrow(SluiceError)
    expect(log.answer).toBeUndefined()
  })
})

describe('a piece', () => {
  const refused: [string, Piece][] = [
    ['of another stream', { ...textPiece('a'), records: [{ type: 'created', info: { ...INFO, id: 'str_2' } }] }],
    ['of no text', { ...textPiece(''), lengths: [] }],
    ['whose lengths are too few', { ...textPiece('ab'), lengths: [1] }],
    ['whose lengths are too many', { ...textPiece('ab'), lengths: [1, 2] }],
    ['with a length below 0', { ...textPiece('ab'), lengths: [3, -1] }],
  ]
  it.each(refused)('%s is refused', (_, piece) => {
    const log = newLog()
    expect(() => log.appendPiece(piece)).toThrow(SluiceError)
    expect([log.last, log.answer]).toEqual([0, undefined])
  })

  it('is kept whole or not at all', () => {
    let room = 0
    const log = newLog({
      admit(_, bytes) {
        if (bytes > room) throw new SluiceError('store_full', 'No room.')
      },
      held: () => {},
      ended: () => {},
    })
    const [piece] = logOf({ answer: ANSWER }, 'aaaa', 'bbbb').pieces()
    room = 10
    const { bytes } = log
    expect(() => log.appendPiece(piece!)).toThrow('No room.')
    expect([log.last, log.bytes, log.answer]).toEqual([0, bytes, undefined])
    room = 16
    log.appendPiece(piece!)
    expect([log.last, log.answer]).toEqual([2, ANSWER])
  })
})

describe('a watcher', () => {
  it('is woken like a reader, and is none', async () => {
    const log = newLog()
    let woken = 0
    const leave = log.watch(() => (woken += 1))
    log.append(text('a'))
    await nextTurn()
    expect([woken, log.readers, log.readerCount.total]).toEqual([1, 0, 0])
    leave()
    log.append(text('b'))
    await nextTurn()
    expect(woken).toBe(1)
  })
})

function textPiece(content: string) {
  return { first: 1, field: 'content', text: content, lengths: [content.length] } as const
}
