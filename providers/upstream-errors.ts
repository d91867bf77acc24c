import type { Fields } from '../src/json.ts'
import { EventTooLargeError } from '../src/sse/decode.ts'
import { ConnectTimeoutError, MalformedResponseError, ProxyError, type ResponseHead } from './transport/transport.ts'
import type { Wire } from '../src/wires/wire.ts'
import { readJson } from './error-body.ts'
import { findError, upstreamFailure } from './error-objects.ts'
import { ProviderError, type Usage } from './provider.ts'

/** Whether SDKs read the body as an answer. 204 and 205 have none. */
export function isAnswerStatus(status: number): boolean {
  return status >= 200 && status < 300 && status !== 204 && status !== 205
}

/** What is known of the body of a response that is no answer. */
export interface RefusedBody {
  error?: Fields | undefined
  isJson?: boolean
}

/** The error for a response that is no answer of the `expected` media type. */
export function responseError(
  { status, headers }: ResponseHead,
  { error, isJson = false }: RefusedBody,
  expected: string,
  wire: Wire,
): ProviderError {
  // HTTP defines no status above 599, and we cannot pass one on.
  if (status >= 600) return invalidResponse(`The upstream answered ${status}, which is no HTTP status.`)
  const retryAfter = readRetryAfter(headers)
  if (status >= 400) return upstreamFailure({ error: error ?? {}, wire, status, retryAfter })
  if (isAnswerStatus(status) && error) return upstreamFailure({ error, wire, retryAfter })
  const type = headers.get('content-type') ?? 'no content type'
  return new ProviderError({
    code: 'upstream_invalid_response',
    message: `The upstream answered ${status} with ${type} instead of ${expected}.`,
    upstreamStatus: status,
    // Another kind of answer may be paid for, too; a page of HTML is more likely from a proxy.
    ...(isAnswerStatus(status) && isJson && { retryable: false }),
  })
}

/** The error that an upstream wrote into its stream as plain JSON, outside the messages. */
export function strayError(text: string, wire: Wire, usage: Usage | undefined): ProviderError | undefined {
  const error = findError(readJson(text))
  return error && upstreamFailure({ error, wire, usage })
}

/** One day, in seconds. A longer wait means that a retry is pointless until something else changes. */
const MAX_RETRY_AFTER = 86_400

/** Seconds, from `retry-after-ms` or either form of `retry-after`; undefined when absent or invalid. */
function readRetryAfter(headers: ResponseHead['headers']): number | undefined {
  const milliseconds = readNumber(headers.get('retry-after-ms'))
  const seconds = milliseconds === undefined ? readDelay(headers.get('retry-after')) : milliseconds / 1000
  return seconds === undefined ? undefined : Math.min(seconds, MAX_RETRY_AFTER)
}

function readDelay(value: string | undefined): number | undefined {
  const seconds = readNumber(value)
  if (seconds !== undefined) return seconds
  const date = Date.parse(value ?? '')
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000))
}

function readNumber(value: string | undefined): number | undefined {
  return value !== undefined && /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) : undefined
}

export function connectionError(cause: unknown): ProviderError {
  if (cause instanceof ConnectTimeoutError)
    return new ProviderError({ code: 'upstream_timeout', message: 'The upstream took too long to connect to.', cause })
  if (cause instanceof MalformedResponseError) return readError(cause)
  if (cause instanceof ProxyError)
    return new ProviderError({ code: 'upstream_unreachable', message: cause.message, cause })
  return new ProviderError({ code: 'upstream_unreachable', message: 'The upstream cannot be reached.', cause })
}

/** The body of a response is unusable or incomplete. */
export function readError(cause: unknown): ProviderError {
  if (cause instanceof ProviderError) return cause
  if (cause instanceof MalformedResponseError)
    return invalidResponse(`The upstream does not speak HTTP: ${cause.message}.`, cause)
  if (isDecompressionError(cause)) return invalidResponse('The upstream sent what cannot be decompressed.', cause)
  return new ProviderError({ code: 'upstream_disconnected', message: 'The upstream closed the connection.', cause })
}

/** An upstream message cannot be parsed. */
export function messageError(cause: unknown): ProviderError {
  if (cause instanceof ProviderError) return cause
  if (cause instanceof EventTooLargeError)
    return responseOverLimit(`The upstream sent too much: ${cause.message}.`, cause)
  return sentInvalid('something that cannot be read', cause)
}

/** Whether an error has a code of zlib or Brotli. */
function isDecompressionError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(Z_|ERR__|ERR_BROTLI)/.test(String(error.code))
}

/** Its finish reason says that the answer broke off. */
export function brokenOff(usage: Usage | undefined): ProviderError {
  return new ProviderError({
    code: 'upstream_error',
    message: 'The upstream broke off its answer.',
    ...(usage && { usage }),
  })
}

export function invalidResponse(message: string, cause?: unknown): ProviderError {
  return new ProviderError({ code: 'upstream_invalid_response', message, cause })
}

/** Exceeds one of our limits; a retry would too. */
export function responseOverLimit(message: string, cause?: unknown): ProviderError {
  return new ProviderError({ code: 'upstream_invalid_response', message, retryable: false, cause })
}

/** One malformed item: not retried, since every attempt is paid for, and no sign that the target is down. */
export function sentInvalid(what: string, cause?: unknown): ProviderError {
  return responseOverLimit(`The upstream sent ${what}.`, cause)
}

export function sentOverLimit(what: string, cause?: unknown): ProviderError {
  return responseOverLimit(`The upstream sent ${what}.`, cause)
}
