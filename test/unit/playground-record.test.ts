import { describe, expect, it } from 'vitest'
import type { Activity, ChatEvent } from '../../src/client/index.ts'
import { describeRow } from '../../src/playground/describe-row.ts'
import { RawFrames, type RawFrame } from '../../src/playground/raw-frames.ts'
import { ReaderRecord } from '../../src/playground/reader-record.ts'

function record(...activities: Activity[]): ReaderRecord {
  const made = new ReaderRecord()
  for (const activity of activities) made.add(activity)
  return made
}

function frame(at: number, seq: number, covers = 1): Activity {
  return { at, type: 'frame', event: { type: 'delta', content: 'x', seq }, covers }
}

function done(at: number, seq: number, fields: Partial<Extract<ChatEvent, { type: 'done' }>> = {}): Activity {
  return { at, type: 'frame', event: { type: 'done', finish_reason: 'stop', seq, ...fields }, covers: 1 }
}

const POST: Activity[] = [
  { at: 1000, type: 'request', method: 'POST', after: 0 },
  { at: 1010, type: 'response', status: 200 },
]

/** How a reader goes and comes back. */
function away(from: number, until: number): Activity[] {
  return [
    { at: from, type: 'disconnect', reason: 'lost', error: undefined },
    { at: from, type: 'reconnect', attempt: 1, delayMs: until - from },
    { at: until, type: 'request', method: 'GET', after: 2 },
    { at: until, type: 'response', status: 200 },
  ]
}

function linesOf({ rows }: ReaderRecord): string[] {
  return rows.map((row) => {
    const { label, text, ids } = describeRow(row)
    return [label, text, ids].filter(Boolean).join(' | ')
  })
}

describe('the record of a reader', () => {
  it('counts frames of one delta as one row, as long as nothing else comes between them', () => {
    const beat: Activity = { at: 1200, type: 'heartbeat' }
    const { rows, figures } = record(...POST, frame(1050, 1), frame(1100, 2), beat, beat, frame(1300, 3))
    expect(rows.slice(1)).toEqual([
      { type: 'deltas', at: 1050, until: 1100, first: 1, last: 2 },
      { type: 'heartbeat', at: 1200, beats: [1200, 1200] },
      { type: 'deltas', at: 1300, until: 1300, first: 3, last: 3 },
    ])
    expect(figures).toMatchObject({ events: 3, frames: 3, merged: 0, heartbeats: 2 })
  })

  it('knows a merged frame by the events that it covers', () => {
    const { rows, figures } = record(...POST, frame(1050, 1), frame(1100, 12, 11))
    expect(rows.at(-1)).toEqual({ type: 'merged', at: 1100, first: 2, last: 12 })
    expect(figures).toMatchObject({ events: 12, frames: 2, merged: 1 })
  })

  it('takes an absence with all its attempts for one, which ends with an answer', () => {
    const refused: Activity[] = [
      { at: 1300, type: 'request', method: 'GET', after: 2 },
      { at: 1300, type: 'response', status: 503 },
      { at: 1300, type: 'disconnect', reason: 'refused', error: undefined },
      { at: 1300, type: 'reconnect', attempt: 2, delayMs: 100 },
    ]
    const [gone, back] = [away(1200, 1400).slice(0, 2), away(1200, 1400).slice(2)]
    const made = record(...POST, frame(1100, 2, 2), ...gone, ...refused)
    expect(made.rows.at(-1)).toEqual({ type: 'away', at: 1200, after: 2, cause: 'lost', attempts: 2 })
    expect(made.figures.reconnects).toBe(0)
    for (const activity of back) made.add(activity)
    expect(made.rows.at(-1)).toMatchObject({ type: 'away', at: 1200, until: 1400 })
    expect(made.figures.reconnects).toBe(1)
  })

  it('names the button that closed a connection, once', () => {
    const made = record(...POST, frame(1100, 1))
    made.expectDisconnect('cut')
    for (const activity of [...away(1200, 1300), ...away(1400, 1500)]) made.add(activity)
    const causes = made.rows.flatMap((row) => (row.type === 'away' ? row.cause : []))
    expect(causes).toEqual(['cut', 'lost'])
  })

  it('measures the rate from the first frame on: what was there before this reader is no speed of the stream', () => {
    const made = record(...POST, frame(1000, 500, 500), frame(2000, 530, 30), frame(3000, 560, 30), done(9000, 561))
    expect(made.figures.tokensPerSecond).toBe(30)
    expect(made.figures.events).toBe(561)
    expect(record(...POST, frame(1000, 500, 500)).figures.tokensPerSecond).toBeUndefined()
    expect(record(...POST).figures.tokensPerSecond).toBeUndefined()
  })

  it('keeps the time to the first token, and adds up bytes', () => {
    const { figures } = record(
      ...POST,
      { at: 1050, type: 'bytes', bytes: 20 },
      { at: 1050, type: 'first-token', afterMs: 50 },
      { at: 1060, type: 'bytes', bytes: 22 },
    )
    expect(figures).toMatchObject({ firstTokenMs: 50, bytes: 42 })
  })

  it('does not count an event twice that came twice', () => {
    expect(record(...POST, frame(1050, 1), frame(1060, 1, 0)).figures).toMatchObject({
      events: 1,
      frames: 2,
      merged: 0,
    })
  })

  it('reads like a story', () => {
    const error = { code: 'upstream_timeout', message: 'Too slow.', retryable: true }
    const made = record(
      ...POST,
      frame(1050, 1),
      frame(1083, 2),
      ...away(1100, 2350),
      frame(2360, 40, 38),
      { at: 2400, type: 'heartbeat' },
      done(3000, 41, { finish_reason: 'error', error }),
      { at: 3000, type: 'end', as: 'failed' },
    )
    expect(linesOf(made)).toEqual([
      'request | POST /v1/chat → 200',
      'delta | 2 frames, every 33 ms | 1–2',
      'reconnect | connection lost, back after 1.25 s | after 2',
      'merged | 38 deltas in one frame | 3–40',
      'heartbeat | silent, but alive',
      'error | upstream_timeout: Too slow. | 41',
    ])
    expect(made.endedAt).toBe(3000)
  })

  it('says how it ended also where no `done` did', () => {
    const notFound: Activity[] = [
      { at: 1000, type: 'request', method: 'GET', after: 0 },
      { at: 1010, type: 'response', status: 404 },
      { at: 1010, type: 'disconnect', reason: 'refused', error: undefined },
      { at: 1010, type: 'end', as: 'failed' },
    ]
    expect(linesOf(record(...notFound))).toEqual([
      'request | GET, from the beginning → 404',
      'error | the stream could not be read to its end',
    ])
    expect(linesOf(record(...POST, { at: 1100, type: 'end', as: 'aborted' })).at(-1)).toBe(
      'done | this reader left; the stream goes on',
    )
  })
})

describe('raw frames', () => {
  it('are what was sent, whatever the chunks, with the comments before them', () => {
    const frames: RawFrame[] = []
    const raw = new RawFrames((each) => frames.push(each))
    const text = ': heartbeat\nid: 7\nevent: delta\ndata: {"content":"a"}\n\ndata: [DONE]\n\nid: 8'
    for (const character of text) raw.push(character)
    expect(frames.map(({ id, event, data }) => [id, event, data])).toEqual([
      ['7', 'delta', '{"content":"a"}'],
      ['', '', '[DONE]'],
    ])
    expect(frames.map(({ text: sent }) => `${sent}\n\n`).join('')).toBe(text.slice(0, -'id: 8'.length))
    expect(raw.between(1, 9)).toEqual([frames[0]?.text])
    // A connection that was cut leaves half a frame, which the next one does not continue.
    raw.restart()
    raw.push('id: 8\n\n')
    expect(raw.between(8, 8)).toEqual(['id: 8'])
  })
})
