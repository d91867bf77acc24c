import type { AwayCause, Row } from './reader-record.ts'
import { formatMs, plural } from './wording.ts'

export interface Description {
  /** What kind of thing it is, in the words of the wire. */
  label: 'request' | 'delta' | 'merged' | 'heartbeat' | 'reconnect' | 'done' | 'error'
  text: string
  ids: string
}

/** A row of a reader's record, as people read it. */
export function describeRow(row: Row): Description {
  switch (row.type) {
    case 'request':
      return { label: 'request', text: describeRequest(row), ids: '' }
    case 'deltas': {
      const count = row.last - row.first + 1
      const rate = count > 1 ? `, every ${formatMs((row.until - row.at) / (count - 1))}` : ''
      return { label: 'delta', text: `${plural(count, 'frame')}${rate}`, ids: range(row.first, row.last) }
    }
    case 'merged':
      return {
        label: 'merged',
        text: `${row.last - row.first + 1} deltas in one frame`,
        ids: range(row.first, row.last),
      }
    case 'heartbeat':
      return {
        label: 'heartbeat',
        text: row.beats.length > 1 ? `${row.beats.length} of them` : 'silent, but alive',
        ids: '',
      }
    case 'away':
      return { label: 'reconnect', text: describeAway(row), ids: row.after ? `after ${row.after}` : '' }
    case 'done':
      return row.error
        ? { label: 'error', text: `${row.error.code}: ${row.error.message}`, ids: String(row.id) }
        : { label: 'done', text: row.reason, ids: String(row.id) }
    case 'end':
      return { label: row.as === 'failed' ? 'error' : 'done', text: END[row.as], ids: '' }
  }
}

const END = {
  cancelled: 'cancelled',
  failed: 'the stream could not be read to its end',
  aborted: 'this reader left; the stream goes on',
} as const

const CAUSES: Record<AwayCause, string> = {
  cut: 'cut by you',
  slow: 'reads slowly',
  lost: 'connection lost',
  silent: 'connection went silent',
  'network-changed': 'network changed',
  refused: 'turned away',
  unreadable: 'answer not understood',
  'caught-up': 'asks how it ended',
}

function describeRequest({ method, after, status }: Extract<Row, { type: 'request' }>): string {
  const what = method === 'POST' ? 'POST /v1/chat' : `GET, from ${after ? `id ${after}` : 'the beginning'}`
  return status === undefined ? `${what} …` : `${what} → ${status}`
}

function describeAway({ cause, at, until, attempts }: Extract<Row, { type: 'away' }>): string {
  if (until !== undefined) return `${CAUSES[cause]}, back after ${formatMs(until - at)}`
  return `${CAUSES[cause]}, coming back${attempts > 1 ? ` (attempt ${attempts})` : ''} …`
}

function range(first: number, last: number): string {
  return first === last ? String(first) : `${first}–${last}`
}
