import { isRecord, type Fields } from '../json.ts'

/**
 * Adds up fields that arrive in pieces: strings, lists and objects grow, other values replace. The first value is kept
 * uncopied; the second copies it once and grows the copy.
 */
export class JoinedFields {
  readonly #values = new Map<string, unknown>()

  constructor(first: Fields = {}) {
    for (const [name, value] of Object.entries(first)) this.#values.set(name, value)
  }

  addAll(fields: Fields): void {
    for (const [name, value] of Object.entries(fields)) this.add(name, value)
  }

  add(name: string, value: unknown): void {
    this.#values.set(name, join(this.#values.get(name), value))
  }

  toFields(): Fields {
    return Object.fromEntries([...this.#values].map(([name, value]) => [name, finish(value)]))
  }
}

/** A list that we own and may grow. */
class JoinedList {
  readonly items: unknown[] = []

  constructor(items: readonly unknown[]) {
    this.addAll(items)
  }

  addAll(items: readonly unknown[]): void {
    for (const item of items) this.items.push(item)
  }
}

function join(before: unknown, more: unknown): unknown {
  if (typeof before === 'string' && typeof more === 'string') return before + more
  if (Array.isArray(more)) {
    const list = Array.isArray(before) ? new JoinedList(before) : before
    if (!(list instanceof JoinedList)) return more
    list.addAll(more)
    return list
  }
  if (isForeign(more)) {
    const fields = isForeign(before) ? new JoinedFields(before) : before
    if (!(fields instanceof JoinedFields)) return more
    fields.addAll(more)
    return fields
  }
  return more ?? before
}

function finish(value: unknown): unknown {
  if (value instanceof JoinedFields) return value.toFields()
  return value instanceof JoinedList ? value.items : value
}

/** A record that is not yet a copy of ours. */
function isForeign(value: unknown): value is Fields {
  return isRecord(value) && !(value instanceof JoinedFields) && !(value instanceof JoinedList)
}
