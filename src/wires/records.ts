// In a file of its own, so that a page that reads events need not load how the fields of a message add up.

/** An object with unknown fields. */
export type Fields = Record<string, unknown>

export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Undefined for values that are not objects. */
export function recordOf(value: unknown): Fields | undefined {
  return isRecord(value) ? value : undefined
}
