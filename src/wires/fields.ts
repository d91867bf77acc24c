/** An object of which nothing is known but that it is one. Here, since this folder runs in browsers too. */
export type Fields = Record<string, unknown>

export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Undefined for whatever is no object. */
export function recordOf(value: unknown): Fields | undefined {
  return isRecord(value) ? value : undefined
}
