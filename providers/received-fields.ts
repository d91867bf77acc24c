// Fields of a message from an upstream: how they are read, and how large they may be.

import { isRecord, JSON_LIMITS, JsonLimitError, parseJson, type Fields } from '../src/json.ts'
import { kindOfError } from './error-kinds.ts'
import { findError } from './error-shapes.ts'
import { ProviderError, type Usage } from './provider.ts'
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
export function parseRecord(json: string, limits = EVENT_LIMITS): Fields {
  try {
    const value = parseJson(json, limits)
    return requireRecord(isRecord(value) ? value : errorIn(value))
  } catch (error) {
    if (error instanceof ProviderError) throw error
    throw error instanceof JsonLimitError
      ? sentOverLimit(`JSON that is too large: ${error.message}`, error)
      : sentInvalid('broken JSON', error)
  }
}

/** Some servers send an error as a text, or as an object in a list. */
function errorIn(value: unknown): Fields | undefined {
  if (typeof value === 'string' && value.trim() !== '' && !kindOfError({ message: value }, undefined).isSecret)
    throw sentInvalid(`a text in place of an object: ${value.slice(0, MAX_QUOTED)}`)
  const error = findError(value)
  return error && { error }
}

const MAX_QUOTED = 1000

export function requireRecord(value: unknown): Fields {
  if (isRecord(value)) return value
  throw sentInvalid('something that is no JSON object')
}

export function toText(value: unknown): string {
  if (typeof value === 'string') return value
  throw sentInvalid('a delta without its text')
}

/** JSON, or text when it is none. */
export function parseValue(text: string): unknown {
  try {
    return parseJson(text, EVENT_LIMITS)
  } catch {
    return text
  }
}

/** `done` is appended even to a full log, so its fields are bounded. */
export const MAX_USAGE_CHARACTERS = 16 * 1024
const MAX_MODEL_CHARACTERS = 256

/** Drops the details of a usage that is too large. */
export function boundUsage(usage: Usage): Usage {
  return JSON.stringify(usage).length <= MAX_USAGE_CHARACTERS ? usage : countsOf(usage)
}

export function countsOf({ prompt_tokens, completion_tokens, total_tokens }: Usage): Usage {
  return { prompt_tokens, completion_tokens, total_tokens }
}

/** Whether this is a valid model name. */
export function isModel(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_MODEL_CHARACTERS
}

/** OpenAI's maximum for `n`. */
export const MAX_CHOICES = 128

/** Total for all choices of a stream; real answers have at most a few dozen. */
export const MAX_TOOL_CALLS = 1024
