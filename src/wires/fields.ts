/** An object with unknown fields. Defined here, since this folder also runs in browsers. */
export type Fields = Record<string, unknown>

export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Undefined for values that are not objects. */
export function recordOf(value: unknown): Fields | undefined {
  return isRecord(value) ? value : undefined
}
