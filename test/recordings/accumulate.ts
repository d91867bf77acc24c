import { isRecord, type Fields } from '../../src/json.ts'

/** Adds an increment to a value: strings and lists grow, objects field by field; otherwise the last value wins. */
export function grow(before: unknown, more: unknown): unknown {
  if (more === null || more === undefined) return before
  if (typeof before === 'string' && typeof more === 'string') return before + more
  if (Array.isArray(before) && Array.isArray(more)) return before.concat(more)
  if (isRecord(before) && isRecord(more)) {
    const fields = { ...before }
    for (const [name, value] of Object.entries(more)) {
      const grown = grow(fields[name], value)
      if (grown !== undefined) fields[name] = grown
    }
    return fields
  }
  return more
}

/** Sets the fields that say something: null replaces nothing. */
export function replace(fields: Fields, more: Fields): void {
  for (const [name, value] of Object.entries(more)) if (value !== null && value !== undefined) fields[name] = value
}
