/**
 * Server-Sent Events as the HTML standard defines them: https://html.spec.whatwg.org/multipage/server-sent-events.html
 * Frames are text; they are sent as UTF-8.
 */
export interface EventFields {
  /** The event's name; `message` to an `EventSource` when absent. */
  event?: string | undefined
  /** A string is sent as it is, anything else as JSON; nothing at all when undefined. */
  data?: unknown
  id?: string | number | undefined
  /** Milliseconds that the reader waits before it reconnects. */
  retry?: number | undefined
}

const LINE_BREAK = /\r\n|\r|\n/

/**
 * One whole frame. Line breaks in `data` become several `data:` lines, which the reader joins with LF: CR and CRLF
 * arrive as LF, as the standard has no way to say them.
 *
 * @throws TypeError when a name or an id could not be told from the frame around it, or `retry` is no whole number.
 */
export function encodeEvent({ event, data, id, retry }: EventFields): string {
  let frame = ''
  if (retry !== undefined) {
    if (!Number.isSafeInteger(retry) || retry < 0) throw new TypeError('`retry` is not a whole number')
    frame += `retry: ${retry}\n`
  }
  if (id !== undefined) frame += `id: ${singleLine('id', String(id))}\n`
  if (event !== undefined) frame += `event: ${singleLine('event', event)}\n`
  if (data !== undefined) frame += encodeData(typeof data === 'string' ? data : toJson(data))
  return `${frame}\n`
}

/** A comment: every client skips it, and every proxy counts it as traffic. */
export function encodeComment(text: string): string {
  return `${text
    .split(LINE_BREAK)
    .map((line) => `: ${line}\n`)
    .join('')}\n`
}

function encodeData(text: string): string {
  if (!text.includes('\n') && !text.includes('\r')) return `data: ${text}\n`
  return text
    .split(LINE_BREAK)
    .map((line) => `data: ${line}\n`)
    .join('')
}

function toJson(data: unknown): string {
  const json: unknown = JSON.stringify(data)
  if (typeof json !== 'string') throw new TypeError('`data` has no JSON form')
  return json
}

function singleLine(field: string, value: string): string {
  if (value.includes('\n') || value.includes('\r') || value.includes('\0'))
    throw new TypeError(`\`${field}\` holds a line break or NUL`)
  return value
}
