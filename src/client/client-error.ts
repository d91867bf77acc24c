import { isRecord, recordOf, type Fields } from '../wires/records.ts'

/** One fault in a request: its location (a JSON path, a header or a query parameter) and a description. */
export interface Fault {
  path: string
  message: string
}

export interface SluiceClientErrorInit {
  code: string
  message: string
  retryable: boolean
  status?: number | undefined
  faults?: Fault[] | undefined
  retryAfterMs?: number | undefined
  cause?: unknown
}

/**
 * A stream's failure. `code` is the gateway's own (`stream_expired`, `upstream_timeout`, …), or one of these:
 *
 * - `stream_lost`: the gateway does not know this stream any more, which it has sent to this reader: it was restarted.
 *   The same question may be asked again, as a new stream;
 * - `unreachable`: nothing answered in `firstResponseMs`, all attempts to reconnect failed, or connecting is impossible;
 * - `invalid_response`: the response does not follow the gateway's protocol, or its headers are hidden from this page;
 * - `http_<status>`: an error response without a code, for example from a proxy;
 * - `cancelled`: only from `ChatStream.id`, when the stream was cancelled before it had an id.
 */
export class SluiceClientError extends Error {
  override readonly name = 'SluiceClientError'
  declare readonly code: string
  /** Whether a new attempt at the same request may succeed. */
  declare readonly retryable: boolean
  /** The HTTP status, when the failure is an error response. */
  readonly status: number | undefined
  /** The invalid fields of the request, when these are the cause. */
  readonly faults: Fault[] | undefined
  /** How long the gateway asks to wait before a retry, in milliseconds. */
  readonly retryAfterMs: number | undefined

  constructor({ message, cause, ...fields }: SluiceClientErrorInit) {
    super(message, cause ? { cause } : {})
    Object.assign(this, fields)
  }
}

/** The server is not a gateway, or a broken one: a retry would not help. */
export function invalidResponse(message: string): SluiceClientError {
  return new SluiceClientError({ code: 'invalid_response', message, retryable: false })
}

/** The gateway has restarted and lost the stream. `stream_not_found` would wrongly suggest that the id is invalid. */
export function streamLost({ status }: SluiceClientError): SluiceClientError {
  const message = 'The gateway has restarted and lost the stream.'
  return new SluiceClientError({ code: 'stream_lost', message, retryable: true, status })
}

/** Reads RFC 9457 problem details; falls back to the status for responses of other servers. */
export async function readProblem(response: Response): Promise<SluiceClientError> {
  const { status, headers, url } = response
  const { code, detail, retryable, errors } = parseRecord(await response.text().catch(() => '')) ?? {}
  return new SluiceClientError({
    status,
    code: typeof code === 'string' ? code : `http_${status}`,
    // Without the query, which may hold a ticket.
    message:
      typeof detail === 'string'
        ? detail
        : `${url.split('?')[0]} answered with status ${status}. Is \`baseUrl\` a gateway?`,
    retryable: typeof retryable === 'boolean' ? retryable : isTransient(status),
    faults: Array.isArray(errors) ? errors.filter(isFault) : undefined,
    retryAfterMs: parseRetryAfter(headers.get('retry-after')),
  })
}

function isFault(value: unknown): value is Fault {
  return isRecord(value) && typeof value.path === 'string' && typeof value.message === 'string'
}

/** Whether a proxy sends this status for a gateway that is starting, stopping or busy. */
function isTransient(status: number): boolean {
  return /^(408|425|429|5(?!01|05)\d\d)$/.test(String(status))
}

/** Seconds or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */
function parseRetryAfter(value: string | null): number | undefined {
  if (!value) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

/** Undefined when the text is not a JSON object. */
export function parseRecord(text: string): Fields | undefined {
  try {
    return recordOf(JSON.parse(text))
  } catch {
    return undefined
  }
}
