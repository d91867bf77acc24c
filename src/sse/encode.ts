/**
 * Server-Sent Events as the HTML standard defines them: https://html.spec.whatwg.org/multipage/server-sent-events.html
 * Frames are text; they are sent as UTF-8.
 */
export interface EventFields {
  /** The event's name; `message` to an `EventSource` when absent. */
  event?: string | undefined
  /** A string is sent unchanged, other values as JSON; no data when undefined. */
  data?: unknown
  id?: string | number | undefined
  /** Milliseconds that the reader waits before it reconnects. */
  retry?: number | undefined
}

const LINE_BREAK = /\r\n|\r|\n/

/**
 * Encodes one frame. Line breaks in `data` become several `data:` lines, which the reader joins with LF; the standard
 * cannot express CR and CRLF, so they arrive as LF. An event with a name but no data gets an empty data line, without
 * which readers would drop it. A lone `retry` gets no blank line: some readers take one for the end of an event. The id
 * is last: fetch-event-source moves its cursor before the event is complete, and would lose a truncated event.
 *
 * @throws TypeError when a name or an id could be confused with the frame around it, or `retry` is not a whole number.
 */
export function encodeEvent({ event, data, id, retry }: EventFields): string {
  let frame = ''
  if (retry !== undefined) {
    if (!Number.isSafeInteger(retry) || retry < 0) throw new TypeError('`retry` is not a whole number')
    frame += `retry: ${retry}\n`
  }
  if (id === undefined && event === undefined && data === undefined) return frame
  if (event !== undefined) frame += `event: ${singleLine('event', event)}\n`
  if (data !== undefined) frame += encodeData(typeof data === 'string' ? data : encodeJson(data))
  else if (event !== undefined) frame += 'data:\n'
  if (id !== undefined) frame += `id: ${singleLine('id', String(id))}\n`
  return `${frame}\n`
}

/**
 * Encodes a comment: every client skips it, and every proxy counts it as traffic. It has no blank line: several clients
 * (httpx-sse, r3labs/sse) take one for the end of an event without data.
 */
export function encodeComment(text: string): string {
  return text
    .split(LINE_BREAK)
    .map((line) => `: ${line}\n`)
    .join('')
}

/** Some readers (Python's `splitlines`) treat these as line breaks; the standard and JSON do not. */
const OTHER_LINE_BREAK = /[\u0085\u2028\u2029]/
const OTHER_LINE_BREAKS = /[\u0085\u2028\u2029]/g

/** JSON on one line, for readers with any definition of line breaks. @throws TypeError when `data` has no JSON form */
export function encodeJson(data: unknown): string {
  const json: unknown = JSON.stringify(data)
  if (typeof json !== 'string') throw new TypeError('`data` has no JSON form')
  return OTHER_LINE_BREAK.test(json) ? json.replace(OTHER_LINE_BREAKS, escapeUnit) : json
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function encodeData(text: string): string {
  if (!text.includes('\n') && !text.includes('\r')) return `data: ${text}\n`
  return text
    .split(LINE_BREAK)
    .map((line) => `data: ${line}\n`)
    .join('')
}

function singleLine(field: string, value: string): string {
  if (value.includes('\n') || value.includes('\r') || value.includes('\0'))
    throw new TypeError(`\`${field}\` holds a line break or NUL`)
  return value
}
