/** Longer names are no slip of the pen, and comparing them takes time. */
const MAX_LENGTH = 80

/** Callers can send unknown names at will, so the work for one is bounded. */
const MAX_COMPARED = 2000

const MAX_SUGGESTIONS = 3

/** A shorter name is the beginning of too many others. */
const MIN_PREFIX = 4

/** The names that a misspelt one may mean, the nearest first. Provider prefixes may be missing. */
export function nearestNames(name: string, names: readonly string[]): string[] {
  if (name.length > MAX_LENGTH) return []
  const wanted = name.toLowerCase()
  const limit = Math.min(3, Math.floor(name.length / 3))
  return names
    .slice(0, MAX_COMPARED)
    .map((each) => ({ each, distance: nameDistance(wanted, each.toLowerCase(), limit) }))
    .filter(({ distance }) => distance <= limit)
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, MAX_SUGGESTIONS)
    .map(({ each }) => each)
}

function nameDistance(wanted: string, name: string, limit: number): number {
  const withoutPrefix = name.slice(name.indexOf('/') + 1)
  const forms = wanted.includes('/') ? [name] : [name, withoutPrefix]
  if (wanted.length >= MIN_PREFIX && forms.some((form) => form.startsWith(wanted))) return Math.min(1, limit)
  return Math.min(...forms.map((form) => editDistance(wanted, form, limit)))
}

/** The number of insertions, deletions and replacements between two texts; `Infinity` when beyond the limit. */
export function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return Infinity
  // Only a band around the diagonal is computed: outside of it, the distance is beyond the limit.
  let previous = Array.from({ length: b.length + 1 }, (_, column) => (column <= limit ? column : Infinity))
  let current = previous.map(() => Infinity)
  const at = (row: readonly number[], column: number) => row[column] ?? Infinity
  for (let row = 1; row <= a.length; row++) {
    const [from, to] = [Math.max(1, row - limit), Math.min(b.length, row + limit)]
    current[from - 1] = from === 1 && row <= limit ? row : Infinity
    let least = at(current, from - 1)
    for (let column = from; column <= to; column++) {
      const replaced = at(previous, column - 1) + (a.charCodeAt(row - 1) === b.charCodeAt(column - 1) ? 0 : 1)
      const distance = Math.min(replaced, at(previous, column) + 1, at(current, column - 1) + 1)
      current[column] = distance
      least = Math.min(least, distance)
    }
    if (least > limit) return Infinity
    ;[previous, current] = [current, previous]
  }
  const distance = at(previous, b.length)
  return distance <= limit ? distance : Infinity
}
