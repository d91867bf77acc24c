import { isRecord } from '../../src/json.ts'

export interface Difference {
  /** Which reading found it. */
  check: string
  /** The field, as a path; empty for the whole. */
  path: string
  direct: unknown
  through: unknown
}

/** All fields with other values, deeply. A field that is undefined is absent. */
export function compare(check: string, direct: unknown, through: unknown, path = ''): Difference[] {
  if (Array.isArray(direct) && Array.isArray(through)) {
    const places = Array.from({ length: Math.max(direct.length, through.length) }, (_, i) => i)
    return places.flatMap((i) => compare(check, direct[i], through[i], `${path}[${i}]`))
  }
  if (isRecord(direct) && isRecord(through)) {
    const names = [...new Set([...Object.keys(direct), ...Object.keys(through)])]
    return names.flatMap((name) => compare(check, direct[name], through[name], path ? `${path}.${name}` : name))
  }
  return Object.is(direct, through) ? [] : [{ check, path, direct, through }]
}
