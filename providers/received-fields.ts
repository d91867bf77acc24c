import { isRecord, JSON_LIMITS, JsonLimitError, parseJson, type Fields } from '../src/json.ts'
import { ProviderError } from './provider.ts'
import { sentInvalid, sentOverLimit } from './upstream-errors.ts'

/**
 * An event is parsed, stored, written and parsed again in one turn of the event loop. Real events have some hundred
 * values.
 */
const EVENT_LIMITS = { ...JSON_LIMITS, size: 20_000 }

export function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

/** @throws ProviderError `upstream_invalid_response`, as do the functions below */
export function parseRecord(json: string): Fields {
  try {
    return requireRecord(parseJson(json, EVENT_LIMITS))
  } catch (error) {
    if (error instanceof ProviderError) throw error
    throw error instanceof JsonLimitError
      ? sentOverLimit(`JSON that is too large: ${error.message}`, error)
      : sentInvalid('broken JSON', error)
  }
}

export function requireRecord(value: unknown): Fields {
  if (isRecord(value)) return value
  throw sentInvalid('something that is no JSON object')
}

export function toText(value: unknown): string {
  if (typeof value === 'string') return value
  throw sentInvalid('a delta without its text')
}
