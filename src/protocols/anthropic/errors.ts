import { statusOfCode, type SluiceError } from '../../errors.ts'
import type { StreamError } from '../../stream/events.ts'
import type { RenderedError } from '../protocol.ts'

export interface ErrorObject {
  type: string
  message: string
}

/** https://platform.claude.com/docs/en/api/errors */
export function renderError(error: SluiceError, requestId: string): RenderedError {
  // Pass on the upstream's status for the request, but not its status for the gateway's key.
  const { upstreamStatus = 0 } = error
  const status = upstreamStatus >= 400 && error.code !== 'upstream_auth' ? upstreamStatus : error.status
  return {
    status,
    type: 'application/json',
    headers: { 'request-id': requestId, 'x-should-retry': String(error.retryable) },
    body: { type: 'error', error: { type: errorType(status), message: error.message }, request_id: requestId },
  }
}

export function toErrorObject({ code, message }: StreamError): ErrorObject {
  return { type: errorType(statusOfCode(code)), message }
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
