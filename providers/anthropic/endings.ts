import type { ErrorCode } from '../../src/errors.ts'
import type { FinishReason } from '../../src/stream/events.ts'
import { ProviderError } from '../provider.ts'
import { isRecord } from '../../src/json.ts'

/** Stop reasons that map one-to-one to a finish reason. */
const FINISH_REASONS: ReadonlyMap<string, FinishReason> = new Map([
  ['end_turn', 'stop'],
  ['max_tokens', 'length'],
  ['tool_use', 'tool_calls'],
  ['refusal', 'content_filter'],
])

/** Whether a finish reason expresses this stop reason without loss. */
export function isFinishReason(stopReason: string): boolean {
  return FINISH_REASONS.has(stopReason)
}

/** https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons */
export function toFinishReason(stopReason: string): FinishReason {
  // `stop_sequence`, `pause_turn` and unknown future reasons end the turn, too.
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

/** Converts the `error` field of an `error` event. */
export function upstreamError(error: unknown): ProviderError {
  const { type, message } = isRecord(error) ? error : {}
  const code = ERROR_CODES.get(type) ?? 'upstream_error'
  // The upstream's message about the key may quote part of it, and concerns only the operator.
  const words = code !== 'upstream_auth' && typeof message === 'string' && message
  return new ProviderError({ code, message: words || 'The upstream failed.' })
}
