import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pieceAfter, parsePiece, lastOf, type Piece } from '../../src/stream/piece.ts'
import { Subscription } from '../../src/stream/readers.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'

const INFO = { id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0 }
const LOST = {
  type: 'done',
  finish_reason: 'error',
  error: { code: 'producer_lost', message: '…', retryable: true },
} as const
const END: Piece = { first: 1_000_003, event: LOST, skips: true }

function lostLog(): StreamLog {
  const log = new StreamLog(INFO)
  for (const content of ['a', 'b', 'c']) log.append({ type: 'delta', content })
  log.appendPiece(END)
  return log
}

/** The ids and texts that a reader gets from a cursor. */
function readFrom(log: StreamLog, cursor: number) {
  const subscription = new Subscription(
    log,
    cursor,
    (from) => log.read(from),
    () => {},
  )
  const events = []
  for (let batch = subscription.next(); batch; batch = subscription.next()) events.push(...batch.events)
  return {
    events: events.map(({ seq, event }) => [seq, event.type === 'delta' ? event.content : event.type]),
    ended: subscription.ended,
  }
}

describe('a log whose node was lost', () => {
  it('ends beyond all events that the node may have shown', () => {
    const log = lostLog()
    expect([log.last, log.lastDelta, log.done]).toEqual([1_000_003, 3, LOST])
    const end = [1_000_003, 'done']
    expect(readFrom(log, 0)).toEqual({ events: [[3, 'abc'], end], ended: true })
    expect(readFrom(log, 2)).toEqual({ events: [[3, 'c'], end], ended: true })
    // This reader saw events that were never shared.
    for (const cursor of [3, 4, 999_999, 1_000_002])
      expect(readFrom(log, cursor)).toEqual({ events: [end], ended: true })
    expect(readFrom(log, 1_000_003)).toEqual({ events: [], ended: true })
  })

  it('can be read up to its end, and copied', () => {
    const log = lostLog()
    expect(log.read(0, log.lastDelta)?.last).toBe(3)
    expect(log.read(3, log.last - 1)).toBeUndefined()
    const copy = new StreamLog(INFO)
    for (const piece of log.pieces()) copy.appendPiece(parsePiece(JSON.stringify(piece)))
    expect([copy.last, copy.done, [...copy.pieces()]]).toEqual([log.last, log.done, [...log.pieces()]])
    expect([...log.pieces(500)].map(lastOf)).toEqual([1_000_003])
  })

  it('takes no other piece out of order', () => {
    const log = new StreamLog(INFO)
    log.append({ type: 'delta', content: 'a' })
    expect(() => log.appendPiece({ first: 9, event: LOST })).toThrow('cannot follow')
    expect(() => log.appendPiece({ first: 9, event: { type: 'delta', content: 'b' }, skips: true })).toThrow(
      'cannot follow',
    )
    expect(() => log.appendPiece({ ...END, first: 1 })).toThrow('cannot follow')
  })
})

describe('a withdrawn log', () => {
  it('shows nothing more, and wakes its readers', async () => {
    const log = new StreamLog(INFO)
    log.append({ type: 'delta', content: 'a' })
    const woken = new Promise<void>((resolve) => log.subscribe(() => resolve()))
    log.withdraw()
    await woken
    expect(readFrom(log, 0).events).toEqual([])
  })

  it('is one that this process may no longer write, from the next read on', () => {
    const log = new StreamLog(INFO)
    let isOurs = true
    log.isOurs = () => isOurs
    log.append({ type: 'delta', content: 'a' })
    expect(readFrom(log, 0).events).toHaveLength(1)
    isOurs = false
    expect([readFrom(log, 0).events, log.withdrawn]).toEqual([[], true])
  })
})

describe('the rest of a piece', () => {
  it('is what follows a seq, whatever the piece', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string(), { minLength: 1, maxLength: 20 }),
        fc.nat(5),
        fc.nat(30),
        (texts, before, seq) => {
          const lengths = texts.map(({ length }) => length)
          const piece: Piece = { first: before + 1, field: 'content', text: texts.join(''), lengths }
          const rest = pieceAfter(piece, seq)
          const left = texts.slice(Math.max(0, seq - before))
          if (left.length === 0) expect(rest).toBeUndefined()
          else
            expect(rest).toMatchObject({
              first: Math.max(seq, before) + 1,
              text: left.join(''),
              lengths: left.map(({ length }) => length),
            })
        },
      ),
    )
  })

  it.each([
    '{}',
    '[]',
    '{"first":1}',
    '{"first":1,"event":{"type":"x"}}',
    '{"first":1,"field":"x","text":"","lengths":[0]}',
    '{"first":-1,"event":{"type":"delta"}}',
    '{"first":1,"event":{"type":"delta"},"records":[{"type":"created"}]}',
    'x',
  ])('is not read from %s', (json) => {
    expect(() => parsePiece(json)).toThrow()
  })
})
