/** How far the text of a JSON object or array has come. Immutable, so encoders can keep it in their state. */
export interface JsonProgress {
  readonly depth: number
  readonly inString: boolean
  readonly escaped: boolean
  /** The last bracket is closed: only white space may follow. */
  readonly complete: boolean
  /** The greatest depth so far. */
  readonly deepest: number
}

export const JSON_START: JsonProgress = { depth: 0, inString: false, escaped: false, complete: false, deepest: 0 }

/** Reads on. Checks no syntax: only brackets and strings are followed. The cost is linear in `text`. */
export function followJson(from: JsonProgress, text: string): JsonProgress {
  let { depth, inString, escaped, complete, deepest } = from
  for (const character of text) {
    if (escaped) escaped = false
    else if (inString) {
      if (character === '\\') escaped = true
      else if (character === '"') inString = false
    } else if (character === '"') inString = true
    else if (character === '{' || character === '[') {
      depth += 1
      complete = false
      deepest = Math.max(deepest, depth)
    } else if (character === '}' || character === ']') {
      depth -= 1
      complete = depth === 0
    }
  }
  return { depth, inString, escaped, complete, deepest }
}
