import { isRecord, parseJson } from './json.ts'

/** One fault in what was sent: where (a JSON path, a header or a query parameter) and what. */
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
 * How a stream failed. `code` is the gateway's own (`stream_expired`, `upstream_timeout`, …), or one of these:
 *
 * - `unreachable`: no connection came through, however often it was tried, or it never can;
 * - `invalid_response`: what answered does not speak the gateway's protocol, or hides its headers from this page;
 * - `http_<status>`: an error without a code, from whatever stands between;
 * - `cancelled`: of `ChatStream.id` alone, when the stream was cancelled before it had one.
 */
export class SluiceClientError extends Error {
  override readonly name = 'SluiceClientError'
  declare readonly code: string
  /** Whether the same request, made anew, may succeed. */
  declare readonly retryable: boolean
  /** The HTTP status, when the failure came as one. */
  readonly status: number | undefined
  /** Every field of the request that is wrong, when that is why. */
  readonly faults: Fault[] | undefined
  /** How long the gateway asked to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined

  constructor({ message, cause, ...fields }: SluiceClientErrorInit) {
    super(message, cause ? { cause } : {})
    Object.assign(this, fields)
  }
}

/** What answered is no gateway, or a broken one: asking again would bring the same. */
export function invalidResponse(message: string): SluiceClientError {
  return new SluiceClientError({ code: 'invalid_response', message, retryable: false })
}

/** A failure of `fetch` that no other attempt mends: an API that the runtime lacks, a certificate that it rejects. */
export function isPermanent(error: unknown): boolean {
  return error instanceof ReferenceError || /CERT|VERIFY|WRONG/.test(Object(Object(error).cause).code)
}

/** `cause` says why. */
export function unreachable(cause: unknown, retryable: boolean): SluiceClientError {
  return new SluiceClientError({ code: 'unreachable', message: 'The gateway is unreachable.', retryable, cause })
}

/** Reads RFC 9457 problem details, and makes do with the status when something else has answered. */
export async function readProblem(response: Response): Promise<SluiceClientError> {
  const { status, headers } = response
  const body = parseJson(await response.text().catch(() => ''))
  const { code, detail, retryable, errors } = isRecord(body) ? body : {}
  return new SluiceClientError({
    status,
    code: typeof code === 'string' ? code : `http_${status}`,
    message: typeof detail === 'string' ? detail : `The gateway answered with status ${status}.`,
    retryable: typeof retryable === 'boolean' ? retryable : isTransient(status),
    faults: Array.isArray(errors) ? errors.filter(isFault) : undefined,
    retryAfterMs: parseRetryAfter(headers.get('retry-after')),
  })
}

function isFault(value: unknown): value is Fault {
  return isRecord(value) && typeof value.path === 'string' && typeof value.message === 'string'
}

/** What a proxy says of a gateway that is starting, stopping or busy. */
function isTransient(status: number): boolean {
  return (status >= 500 && status !== 501 && status !== 505) || status === 408 || status === 425 || status === 429
}

/** Seconds or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */
function parseRetryAfter(value: string | null): number | undefined {
  if (!value) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}
