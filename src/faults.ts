import { isRecord } from './json.ts'

/** One fault in a request: its location (a JSON path, a header name or a query parameter) and a description. */
export interface Fault {
  path: string
  message: string
}

export function isFaults(value: unknown): value is Fault[] {
  return Array.isArray(value) && value.every(isFault)
}

function isFault(value: unknown): value is Fault {
  return isRecord(value) && typeof value.path === 'string' && typeof value.message === 'string'
}

/** How many faults of one request are reported. */
export const MAX_FAULTS = 20

/** Limits for quoted input, whose length is otherwise unbounded. */
const MAX_KEY = 100
const MAX_TEXT = 500

/** Zod's first issues as faults, with paths in JavaScript notation: `messages[0].content`. */
export function toFaults(issues: readonly Issue[]): Fault[] {
  const faults: Fault[] = []
  for (const { path, message, keys } of issues) {
    if (faults.length > MAX_FAULTS) break
    if (keys)
      for (const key of keys.slice(0, MAX_FAULTS + 1))
        faults.push({ path: formatPath([...path, key]), message: 'is not known' })
    else faults.push({ path: formatPath(path), message })
  }
  return firstOf(faults)
}

interface Issue {
  path: readonly PropertyKey[]
  message: string
  /** Unknown names in a strict object. */
  keys?: readonly string[]
}

/** The faults that are reported: the first ones, with 'and more' in place of the first one left out. */
export function firstOf(faults: readonly Fault[]): Fault[] {
  const reported = faults.slice(0, MAX_FAULTS)
  const next = faults[MAX_FAULTS]
  if (next) reported.push({ path: next.path, message: 'and more' })
  return reported.map(({ path, message }) => ({ path: shorten(path, MAX_TEXT), message: shorten(message, MAX_TEXT) }))
}

function formatPath(path: readonly PropertyKey[]): string {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else text += `${text && '.'}${shorten(String(key), MAX_KEY)}`
  }
  return text || '(body)'
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text
}
