import { firstOf, isFaults, type Fault } from './faults.ts'
import { isCarried, isUsage, type Done, type StreamError, type Usage } from './stream/events.ts'
import type { Carried } from './wires/carried.ts'

/**
 * All failures that Sluice reports. A code is stable: clients may switch on it.
 *
 * - `status`: the HTTP status when the failure occurs before a stream begins.
 * - `retryable`: whether the same request may succeed later.
 */
const ERRORS = {
  // The request.
  invalid_json: { status: 400, retryable: false },
  invalid_request: { status: 400, retryable: false },
  invalid_cursor: { status: 400, retryable: false },
  invalid_api_key: { status: 401, retryable: false },
  invalid_ticket: { status: 401, retryable: false },
  host_not_allowed: { status: 403, retryable: false },
  insufficient_scope: { status: 403, retryable: false },
  model_not_allowed: { status: 403, retryable: false },
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
  rate_limit_exceeded: { status: 429, retryable: true },
  insufficient_quota: { status: 429, retryable: false },

  // The gateway.
  cancelled: { status: 499, retryable: false },
  internal_error: { status: 500, retryable: false },
  stream_too_large: { status: 500, retryable: false },
  auth_unavailable: { status: 503, retryable: true },
  overloaded: { status: 503, retryable: true },
  store_full: { status: 503, retryable: true },
  store_unavailable: { status: 503, retryable: true },
  producer_lost: { status: 503, retryable: true },
  gateway_shutdown: { status: 503, retryable: true },

  // A provider that breaks its contract.
  provider_failed: { status: 502, retryable: false },
  provider_invalid_event: { status: 502, retryable: false },

  // The upstream of a provider.
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

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value)
}

/** The HTTP status of a failure before the stream starts; 500 for an unknown code. */
export function statusOfCode(code: string): number {
  return isErrorCode(code) ? ERRORS[code].status : 500
}

export interface SluiceErrorOptions {
  cause?: unknown
  faults?: Fault[]
  /** Overrides the table when the upstream is more specific. */
  retryable?: boolean
  /** Seconds after which a retry makes sense. */
  retryAfter?: number
  /** The HTTP status of the upstream's response, if there was one. */
  upstreamStatus?: number
  /** The upstream's error object, by its wire: a client of the same wire gets it as it came. */
  carried?: Carried
  /** Token counts up to the failure. */
  usage?: Usage
}

/**
 * Marks the errors of every copy of this package. A plugin may bundle its own copy with different classes, so
 * `instanceof` checks for this mark instead of the class.
 */
const BRAND = Symbol.for('sluice.error')

/**
 * A failure with a stable code. Its message is written for the caller: it never contains a secret or a prompt.
 *
 * Plugins in JavaScript can pass any value: an unknown code becomes `provider_failed`, an option of the wrong type is
 * ignored.
 */
export class SluiceError extends Error {
  override readonly name: string = 'SluiceError'
  readonly code: ErrorCode
  readonly status: number
  readonly retryable: boolean
  readonly retryAfter: number | undefined
  readonly faults: Fault[] | undefined
  readonly upstreamStatus: number | undefined
  readonly carried: Carried | undefined
  readonly usage: Usage | undefined

  constructor(code: ErrorCode, message: string, options: SluiceErrorOptions = {}) {
    super(message, { cause: options.cause })
    const { retryable, retryAfter, faults, upstreamStatus, carried, usage } = validOptions(options)
    this.code = isErrorCode(code) ? code : 'provider_failed'
    this.status = ERRORS[this.code].status
    this.retryable = retryable ?? ERRORS[this.code].retryable
    this.retryAfter = retryAfter
    this.faults = faults
    this.upstreamStatus = upstreamStatus
    this.carried = carried
    this.usage = usage
  }

  get [BRAND](): true {
    return true
  }

  /** Subclasses inherit this method; those without their own brand are checked by class. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return this === SluiceError ? hasBrand(value, BRAND) : isOfClass(value, this)
  }
}

/**
 * Converts any thrown value to an error of this copy of the package. Errors of other copies keep their valid fields;
 * anything else becomes a `provider_failed` with a generic message.
 */
export function toSluiceError(thrown: unknown): SluiceError {
  if (hasBrand(thrown, BRAND)) {
    if (isOfClass(thrown, SluiceError)) return thrown
    try {
      const { code, message } = thrown
      return new SluiceError(
        isErrorCode(code) ? code : 'provider_failed',
        typeof message === 'string' ? message : PROVIDER_FAILED,
        { ...validOptions(thrown), cause: thrown },
      )
    } catch {
      // A getter threw.
    }
  }
  return new SluiceError('provider_failed', PROVIDER_FAILED, { cause: thrown })
}

const PROVIDER_FAILED = 'The provider failed.'

/** A failure as reported to readers. The message of an unbranded error is withheld: it may quote anything. */
export function toStreamError(thrown: unknown): StreamError {
  const { code, message, retryable } = toSluiceError(thrown)
  return { code, message, retryable }
}

/** The `done` of a stream that failed. */
export function toFailedDone(thrown: unknown): Done {
  const { carried, usage } = toSluiceError(thrown)
  return {
    type: 'done',
    finish_reason: 'error',
    error: toStreamError(thrown),
    ...(usage && { usage }),
    ...(carried && { carried }),
  }
}

/** Converts a failure that was reported to readers to an error. Providers write `done` themselves, with any code. */
export function fromFailedDone(done: Done): SluiceError {
  const { code, message, retryable } = failureOf(done)
  const { carried, usage } = done
  return new SluiceError(isErrorCode(code) ? code : 'provider_failed', message, {
    retryable,
    ...(carried && { carried }),
    ...(usage && { usage }),
  })
}

/** Why a stream ended in `error` or `cancelled`, even if its `done` has no reason. */
export function failureOf({ finish_reason, error }: Done): StreamError {
  if (error) return error
  return finish_reason === 'cancelled'
    ? { code: 'cancelled', message: 'The stream was cancelled.', retryable: false }
    : { code: 'provider_failed', message: PROVIDER_FAILED, retryable: false }
}

/** An error of this or another copy; its fields are not validated. */
type Branded = { readonly [name in 'code' | 'message' | keyof SluiceErrorOptions]?: unknown }

/** Never throws, for any value. */
export function hasBrand(value: unknown, brand: symbol): value is Branded {
  try {
    return typeof value === 'object' && value !== null && Reflect.get(value, brand) === true
  } catch {
    return false
  }
}

/** The default `instanceof`, without the methods above. */
function isOfClass<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  return Function.prototype[Symbol.hasInstance].call(type, value)
}

function validOptions(options: Branded): SluiceErrorOptions {
  const { retryable, retryAfter, faults, upstreamStatus, carried, usage } = options
  return {
    ...(typeof retryable === 'boolean' && { retryable }),
    ...(isSeconds(retryAfter) && { retryAfter }),
    ...(isFaults(faults) && { faults }),
    ...(isStatus(upstreamStatus) && { upstreamStatus }),
    ...(isCarried(carried) && { carried }),
    ...(isUsage(usage) && { usage }),
  }
}

function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value < Infinity
}

/** Whether a status can be passed on: Node refuses to send others. */
function isStatus(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 100 && value < 600
}

/** The node that wrote a stream is gone, or was silent for so long that the others have given it up. */
export function producerLost(): SluiceError {
  return new SluiceError('producer_lost', 'The gateway node that produced this stream was lost; try again.')
}

/** A `SluiceError` for one fault in one field. */
export function invalidField(code: ErrorCode, path: string, message: string): SluiceError {
  return new SluiceError(code, `${path}: ${message}`, { faults: [{ path, message }] })
}

/** A `SluiceError` for a body with these faults. */
export function invalidRequest(faults: Fault[]): SluiceError {
  const reported = firstOf(faults)
  const words = reported.map(({ path, message }) => `${path}: ${message}`).join('; ')
  return new SluiceError('invalid_request', `Invalid request: ${words}`, { faults: reported })
}

/**
 * The abort reason of a provider's signal when its work is over, for any reason. Not a failure, so it has no code. It
 * has the name of the errors of an aborted `fetch` or timer, which plugins know to ignore.
 *
 * Create one and share it: a stack trace per stream is expensive and nobody reads it.
 */
export class Ended extends Error {
  override readonly name = 'AbortError'
}

const CONFIG_BRAND = Symbol.for('sluice.error.config')

/** The configuration is invalid; `faults` lists where and why. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: Fault[]

  constructor(faults: Fault[]) {
    super(faults.map(({ path, message }) => `${path}: ${message}`).join('\n'))
    this.faults = faults
  }

  get [CONFIG_BRAND](): true {
    return true
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasBrand(value, CONFIG_BRAND)
  }
}
