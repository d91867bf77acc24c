import type { ErrorCode } from '../../src/errors.ts'
import type { FinishReason } from '../../src/stream/events.ts'
import { ProviderError } from '../provider.ts'
import { isRecord } from '../../src/json.ts'

/** The stop reasons that finish reasons stand for, one for one. */
const FINISH_REASONS: ReadonlyMap<string, FinishReason> = new Map([
  ['end_turn', 'stop'],
  ['max_tokens', 'length'],
  ['tool_use', 'tool_calls'],
  ['refusal', 'content_filter'],
])

/** Whether a finish reason says all that this stop reason says. */
export function isFinishReason(stopReason: string): boolean {
  return FINISH_REASONS.has(stopReason)
}

/** https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons */
export function toFinishReason(stopReason: string): FinishReason {
  // `stop_sequence`, `pause_turn` and those that are yet to come end the turn, too.
  return FINISH_REASONS.get(stopReason) ?? (stopReason === 'model_context_window_exceeded' ? 'length' : 'stop')
}

/** https://platform.claude.com/docs/en/api/errors */
const ERROR_CODES: ReadonlyMap<unknown, ErrorCode> = new Map([
  ['invalid_request_error', 'upstream_rejected'],
  ['request_too_large', 'upstream_rejected'],
  ['authentication_error', 'upstream_auth'],
  ['permission_error', 'upstream_auth'],
  ['billing_error', 'upstream_auth'],
  ['not_found_error', 'upstream_not_found'],
  ['rate_limit_error', 'upstream_rate_limited'],
  ['timeout_error', 'upstream_timeout'],
  ['overloaded_error', 'upstream_unavailable'],
])

/** What the `error` of an `error` event means. */
export function upstreamError(error: unknown): ProviderError {
  const { type, message } = isRecord(error) ? error : {}
  const code = ERROR_CODES.get(type) ?? 'upstream_error'
  // What an upstream says about the key can hold a part of it, and is the operator's business.
  const words = code !== 'upstream_auth' && typeof message === 'string' && message
  return new ProviderError({ code, message: words || 'The upstream failed.' })
}
