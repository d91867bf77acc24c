import { isRecord, type Fields } from './wires/fields.ts'

export { isRecord, type Fields }

/** Text that is not JSON or exceeds the limits. The message may be shown to the sender. */
export class JsonError extends SyntaxError {
  override readonly name: string = 'JsonError'
}

/** JSON that is nested too deeply or has too many values; a retry does not help. */
export class JsonLimitError extends JsonError {
  override readonly name = 'JsonLimitError'
}

export interface JsonLimits {
  /** Maximum nesting of arrays and objects. */
  depth: number
  /** Maximum number of values and member names, over all levels. */
  size: number
}

/**
 * Far more than real requests and chunks need. `JSON.stringify` recurses and fails at some 5,000 levels; parsing and
 * validating 100,000 small values blocks the event loop for about 40 ms.
 */
export const JSON_LIMITS: JsonLimits = { depth: 128, size: 100_000 }

/** Memory of a parsed value or member name, without its characters; measured by `bench/memory.ts`. */
export const VALUE_BYTES = 24

const QUOTE = 34
const COMMA = 44
const COLON = 58
const OPEN_ARRAY = 91
const BACKSLASH = 92
const CLOSE_ARRAY = 93
const OPEN_OBJECT = 123
const CLOSE_OBJECT = 125

/**
 * `JSON.parse` for untrusted text: checks depth and size before parsing, in one pass that skips strings.
 *
 * @throws JsonError; `JsonLimitError` when a limit is exceeded
 */
export function parseJson(text: string, limits: JsonLimits = JSON_LIMITS): unknown {
  // Each level takes two brackets, so a shorter text cannot be too deep.
  if (text.length > 2 * limits.depth) countJson(text, limits)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new JsonError(error instanceof Error ? error.message : String(error))
  }
}

/**
 * Counts values and names. Exact for valid JSON; the parser rejects any other text.
 *
 * @throws JsonError
 */
export function countJson(text: string, { depth: maxDepth, size: maxSize }: JsonLimits = JSON_LIMITS): number {
  let depth = 0
  let size = 1
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        size += 1
        if (++depth > maxDepth) throw new JsonLimitError(`it is nested more than ${maxDepth} levels deep`)
        break
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth -= 1
        break
      case COMMA:
      case COLON:
        if (++size > maxSize) throw new JsonLimitError(`it has more than ${maxSize} values and names`)
    }
  }
  return size
}

/** Excludes the other objects that a YAML file can contain: bytes, times, sets. */
export function isPlainRecord(value: unknown): value is Fields {
  return Object.prototype.toString.call(value) === '[object Object]'
}

/** For optional objects, where absence means an object without fields. */
export function recordOrEmpty(value: unknown): Fields {
  return isRecord(value) ? value : {}
}

/** An object without its fields that are null. Other values, and objects without such fields, stay as they are. */
export function withoutNulls(value: unknown): unknown {
  if (!isRecord(value) || !Object.keys(value).some((name) => value[name] === null)) return value
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null))
}

/** Assigning to `__proto__` would set the prototype of `fields`; this defines an ordinary field. */
export function setField(fields: Partial<Record<string, unknown>>, name: string, value: unknown): void {
  if (name === '__proto__')
    Object.defineProperty(fields, name, { value, writable: true, enumerable: true, configurable: true })
  else fields[name] = value
}

/** Index of the closing quote of the string at `start`, or the text's length. */
function endOfString(text: string, start: number): number {
  for (let from = start + 1; ;) {
    const quote = text.indexOf('"', from)
    if (quote === -1) return text.length
    let backslash = quote - 1
    while (backslash >= from && text.charCodeAt(backslash) === BACKSLASH) backslash -= 1
    if ((quote - backslash) % 2 === 1) return quote
    from = quote + 1
  }
}
