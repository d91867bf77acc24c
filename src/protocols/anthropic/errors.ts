import { statusOfCode, type SluiceError } from '../../errors.ts'
import type { Fields } from '../../json.ts'
import type { StreamError } from '../../stream/events.ts'
import { anthropicFields } from '../../wires/anthropic.ts'
import type { Carried } from '../../wires/carried.ts'
import type { RenderedError } from '../protocol.ts'

/** Its `type` and `message` are texts; an upstream may have added others. */
export type ErrorObject = Fields

/** https://platform.claude.com/docs/en/api/errors */
export function renderError(error: SluiceError, requestId: string): RenderedError {
  // Pass on the upstream's status for the request, but not its status for the gateway's key.
  const { upstreamStatus = 0 } = error
  const status = upstreamStatus >= 400 && error.code !== 'upstream_auth' ? upstreamStatus : error.status
  return {
    status,
    type: 'application/json',
    headers: { 'request-id': requestId, 'x-should-retry': String(error.retryable) },
    body: { type: 'error', error: toErrorObject(error, error.carried, status), request_id: requestId },
  }
}

/**
 * The error object of an upstream of this wire stays as it came. Its `type` says little of our code, so `sluice_code` is
 * always added: SDKs keep fields that they do not know.
 */
export function toErrorObject(
  { code, message }: StreamError,
  carried?: Carried,
  status: number = statusOfCode(code),
): ErrorObject {
  return { type: errorType(status), message, ...anthropicFields(carried).error, sluice_code: code }
}

const TYPES: Partial<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  // The caller disconnected or cancelled the stream; the request was valid.
  499: 'api_error',
  503: 'overloaded_error',
  504: 'timeout_error',
  529: 'overloaded_error',
}

function errorType(status: number): string {
  return TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')
}
