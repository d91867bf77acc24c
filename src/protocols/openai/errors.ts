import { statusOfCode, type SluiceError } from '../../errors.ts'
import type { StreamError } from '../../stream/events.ts'
import type { RenderedError } from '../protocol.ts'

/** https://platform.openai.com/docs/guides/error-codes */
export function renderError(error: SluiceError): RenderedError {
  return {
    status: statusOf(error),
    type: 'application/json',
    headers: { 'x-should-retry': String(error.retryable) },
    body: { error: toErrorObject(error, error.faults?.[0]?.path) },
  }
}

/** Passes on the upstream's status for the request, but not its status for the gateway's key. */
function statusOf({ code, status, upstreamStatus = 0 }: SluiceError): number {
  return upstreamStatus >= 400 && code !== 'upstream_auth' ? upstreamStatus : status
}

export function toErrorObject({ code, message, retryable }: StreamError, param: string | null = null) {
  const isServers = retryable || statusOfCode(code) >= 500
  return { message, type: isServers ? 'server_error' : 'invalid_request_error', param, code }
}
