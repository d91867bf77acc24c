import type { Fields } from '../src/json.ts'
import type { Usage } from '../src/stream/events.ts'
import type { Carried } from '../src/wires/carried.ts'
import type { Wire } from '../src/wires/wire.ts'
import { kindOfError } from './error-kinds.ts'
import { ProviderError } from './provider.ts'

export { findError } from './error-shapes.ts'

/** An error is appended even to a full log, so what is carried of it is bounded. In characters of JSON. */
const MAX_ERROR_CHARACTERS = 16 * 1024

/** In Anthropic's words. */
export type StopReason = { stop_reason: string; stop_sequence?: string }

export interface UpstreamFailure {
  /** The error object as it came. */
  error: Fields
  wire: Wire
  /** The HTTP status, when the response itself is the error. */
  status?: number
  /** Seconds. */
  retryAfter?: number | undefined
  /** What came before or beside the error. */
  usage?: Usage | undefined
  finishReason?: string | undefined
  stopReason?: StopReason | undefined
}

/**
 * Converts an upstream's error. A client of the same wire gets its `type`, `code`, `param` and details; text about the
 * gateway's key concerns only the operator, and may quote part of it, so it is dropped.
 */
export function upstreamFailure({
  error,
  wire,
  status,
  retryAfter,
  usage,
  finishReason,
  stopReason,
}: UpstreamFailure): ProviderError {
  const { code, isSecret, isHopeless } = kindOfError(error, status)
  const fields = isSecret ? withoutText(error) : error
  const message =
    (typeof fields.message === 'string' && fields.message) ||
    (status === undefined ? 'The upstream failed.' : `The upstream answered ${status}.`)
  const carried: Carried[Wire] = {
    error: bounded({ ...fields, message }),
    ...(finishReason !== undefined && { choice: { finish_reason: finishReason } }),
    ...stopReason,
  }
  return new ProviderError({
    code,
    message,
    carried: { [wire]: carried },
    ...(status !== undefined && { upstreamStatus: status }),
    ...(usage && { usage }),
    ...(isHopeless ? { retryable: false } : retryAfter !== undefined && { retryAfter }),
  })
}

/** Names are kept; texts may quote a key. */
function withoutText({ type, code, param }: Fields): Fields {
  return {
    ...(type !== undefined && { type }),
    ...(code !== undefined && { code }),
    ...(param !== undefined && { param }),
  }
}

function bounded(error: Fields): Fields {
  if (JSON.stringify(error).length <= MAX_ERROR_CHARACTERS) return error
  const { message, type, code, param } = error
  const short = Object.entries({ type, code, param }).filter(
    ([, value]) => typeof value === 'string' && value.length <= 256,
  )
  return { message: String(message).slice(0, 4096), ...Object.fromEntries(short) }
}
