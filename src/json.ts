/** Text that is not JSON, or more of it than may be read at once. The message is fit for whoever sent the text. */
export class JsonError extends SyntaxError {
  override readonly name: string = 'JsonError'
}

/** JSON that is nested too deeply or has too many values, as it will have when it is sent again. */
export class JsonLimitError extends JsonError {
  override readonly name = 'JsonLimitError'
}

export interface JsonLimits {
  /** How deep arrays and objects may be nested. */
  depth: number
  /** How many values and member names there may be, all levels together. */
  size: number
}

/**
 * Far more than honest requests and chunks have. `JSON.stringify` recurses, and fails some 5,000 levels deep; parsing
 * and validating 100,000 small values takes about 40 ms, for all of which the event loop waits.
 */
export const JSON_LIMITS: JsonLimits = { depth: 128, size: 100_000 }

const QUOTE = 34
const COMMA = 44
const COLON = 58
const OPEN_ARRAY = 91
const BACKSLASH = 92
const CLOSE_ARRAY = 93
const OPEN_OBJECT = 123
const CLOSE_OBJECT = 125

/**
 * `JSON.parse` for text of strangers: depth and size are checked before anything is built, in one pass that skips
 * over strings.
 *
 * @throws JsonError, `JsonLimitError` when a limit is the reason
 */
export function parseJson(text: string, limits: JsonLimits = JSON_LIMITS): unknown {
  // Whatever is nested deeper has two brackets a level.
  if (text.length > 2 * limits.depth) countJson(text, limits)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new JsonError(error instanceof Error ? error.message : String(error))
  }
}

/**
 * How many values and names there are. Exact for JSON; anything else is left for the parser to refuse.
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

/** To assign to `__proto__` would set the prototype of `fields`: this makes it a field like any other. */
export function setField(fields: Partial<Record<string, unknown>>, name: string, value: unknown): void {
  if (name === '__proto__')
    Object.defineProperty(fields, name, { value, writable: true, enumerable: true, configurable: true })
  else fields[name] = value
}

/** Where the quote is that ends the string which begins at `start`; the text's end when there is none. */
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
