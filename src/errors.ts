/**
 * Every failure that Sluice names, in one place. A code is stable: clients may switch on it.
 *
 * - `status`: the HTTP status when the failure comes before a stream has begun.
 * - `retryable`: whether the same request may succeed later.
 */
const ERRORS = {
  // The request.
  invalid_json: { status: 400, retryable: false },
  invalid_request: { status: 400, retryable: false },
  invalid_cursor: { status: 400, retryable: false },
  host_not_allowed: { status: 403, retryable: false },
  not_found: { status: 404, retryable: false },
  stream_not_found: { status: 404, retryable: false },
  unknown_model: { status: 404, retryable: false },
  method_not_allowed: { status: 405, retryable: false },
  not_acceptable: { status: 406, retryable: false },
  request_timeout: { status: 408, retryable: true },
  stream_expired: { status: 410, retryable: false },
  body_too_large: { status: 413, retryable: false },
  unsupported_media_type: { status: 415, retryable: false },
  idempotency_conflict: { status: 422, retryable: false },

  // The gateway.
  cancelled: { status: 499, retryable: false },
  internal_error: { status: 500, retryable: false },
  stream_too_large: { status: 500, retryable: false },
  store_full: { status: 503, retryable: true },
  gateway_shutdown: { status: 503, retryable: true },

  // A provider that breaks its contract.
  provider_failed: { status: 502, retryable: false },
  provider_invalid_event: { status: 502, retryable: false },

  // What is behind a provider.
  upstream_rejected: { status: 400, retryable: false },
  upstream_auth: { status: 502, retryable: false },
  upstream_not_found: { status: 404, retryable: false },
  upstream_rate_limited: { status: 429, retryable: true },
  upstream_error: { status: 502, retryable: true },
  upstream_invalid_response: { status: 502, retryable: true },
  upstream_unreachable: { status: 502, retryable: true },
  upstream_disconnected: { status: 502, retryable: true },
  upstream_truncated: { status: 502, retryable: true },
  upstream_unavailable: { status: 503, retryable: true },
  upstream_timeout: { status: 504, retryable: true },
} as const satisfies Record<string, { status: number; retryable: boolean }>

export type ErrorCode = keyof typeof ERRORS

export const ERROR_CODES: readonly ErrorCode[] = Object.keys(ERRORS).filter(isErrorCode)

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text)
}

/** The HTTP status of a failure before the stream starts; 500 for an unknown code. */
export function statusOfCode(code: string): number {
  return isErrorCode(code) ? ERRORS[code].status : 500
}

/** One fault in what was sent: where (a JSON path, a header name or a query parameter) and what. */
export interface Fault {
  path: string
  message: string
}

export interface SluiceErrorOptions {
  cause?: unknown
  faults?: Fault[]
  /** Overrides the table, when the upstream knows better. */
  retryable?: boolean
  /** Seconds after which a retry makes sense. */
  retryAfter?: number
  /** The HTTP status an upstream answered with, if it did. */
  upstreamStatus?: number
}

/** A failure with a stable code. Its message is written for the caller: it never holds a secret or a prompt. */
export class SluiceError extends Error {
  override readonly name: string = 'SluiceError'
  readonly code: ErrorCode
  readonly status: number
  readonly retryable: boolean
  readonly retryAfter: number | undefined
  readonly faults: Fault[] | undefined
  readonly upstreamStatus: number | undefined

  constructor(code: ErrorCode, message: string, options: SluiceErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.status = ERRORS[code].status
    this.retryable = options.retryable ?? ERRORS[code].retryable
    this.retryAfter = options.retryAfter
    this.faults = options.faults
    this.upstreamStatus = options.upstreamStatus
  }
}

/** A `SluiceError` for one fault in one field. */
export function invalidField(code: ErrorCode, path: string, message: string): SluiceError {
  return new SluiceError(code, `${path}: ${message}`, { faults: [{ path, message }] })
}

/** How many faults of one request are reported. */
export const MAX_FAULTS = 20

/** Limits for quoted input, which can have any length. */
const MAX_KEY = 100
const MAX_TEXT = 500

/** A `SluiceError` for a body with these faults. */
export function invalidRequest(faults: Fault[]): SluiceError {
  const reported = firstOf(faults)
  const words = reported.map(({ path, message }) => `${path}: ${message}`).join('; ')
  return new SluiceError('invalid_request', `The request is wrong: ${words}`, { faults: reported })
}

/** Zod's first issues as faults, with paths in JavaScript notation: `messages[0].content`. */
export function toFaults(issues: readonly Issue[]): Fault[] {
  const faults: Fault[] = []
  for (const { path, message, keys } of issues) {
    if (faults.length > MAX_FAULTS) break
    if (keys)
      for (const key of keys.slice(0, MAX_FAULTS + 1))
        faults.push({ path: formatPath([...path, key]), message: 'is not known' })
    else faults.push({ path: formatPath(path), message })
  }
  return firstOf(faults)
}

interface Issue {
  path: readonly PropertyKey[]
  message: string
  /** Unknown names, of a strict object. */
  keys?: readonly string[]
}

/** Replaces the first omitted fault by 'and more'. */
function firstOf(faults: readonly Fault[]): Fault[] {
  const reported = faults.slice(0, MAX_FAULTS)
  const next = faults[MAX_FAULTS]
  if (next) reported.push({ path: next.path, message: 'and more' })
  return reported.map(({ path, message }) => ({ path: shorten(path, MAX_TEXT), message: shorten(message, MAX_TEXT) }))
}

function formatPath(path: readonly PropertyKey[]): string {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else text += `${text && '.'}${shorten(String(key), MAX_KEY)}`
  }
  return text || '(body)'
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text
}

/** The configuration cannot be used; `faults` says where and why. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: Fault[]

  constructor(faults: Fault[]) {
    super(faults.map(({ path, message }) => `${path}: ${message}`).join('\n'))
    this.faults = faults
  }
}
