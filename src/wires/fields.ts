// How the pieces of objects with unknown fields add up. Defined here, since this folder also runs in browsers.

import { isRecord, type Fields } from './records.ts'

export { isRecord, recordOf, type Fields } from './records.ts'

/** How a field with this name accumulates: the rule for the fields in it, or undefined when the last value wins. */
export type Rule = (name: string) => Rule | undefined

/** Fields that some servers repeat with each piece, in full. */
const REPEATED_FIELDS: ReadonlySet<string> = new Set([
  'id',
  'type',
  'name',
  'role',
  'object',
  'format',
  'thought_signature',
])

/** Strings, lists and objects grow, recursively, except for fields that are never sent in pieces. */
export const growing: Rule = (name) => (REPEATED_FIELDS.has(name) ? undefined : growing)

/** The last value of each field wins. */
export const replacing: Rule = () => undefined

/**
 * Accumulates fields that arrive in pieces. If a field cannot grow, the last value wins; null replaces nothing. The
 * first value is kept uncopied; the second copies it once and grows the copy, so the cost is linear in the input.
 */
export class JoinedFields {
  /** A Map, since upstreams choose the names. */
  readonly #values = new Map<string, unknown>()
  readonly #rule: Rule

  constructor(rule: Rule, first: Fields = {}) {
    this.#rule = rule
    for (const [name, value] of Object.entries(first)) this.#values.set(name, value)
  }

  addAll(fields: Fields): void {
    for (const [name, value] of Object.entries(fields)) this.add(name, value)
  }

  add(name: string, value: unknown): void {
    const before = this.#values.get(name)
    const rule = this.#rule(name)
    this.#values.set(name, rule ? join(before, value, rule) : (value ?? before))
  }

  toFields(): Fields {
    return Object.fromEntries([...this.#values].map(([name, value]) => [name, finish(value)]))
  }
}

/** Lists that we copied and do not share: they may grow in place. */
const copies = new WeakSet<readonly unknown[]>()

function finish(value: unknown): unknown {
  if (Array.isArray(value)) copies.delete(value)
  return value instanceof JoinedFields ? value.toFields() : value
}

function join(before: unknown, more: unknown, rule: Rule): unknown {
  if (typeof before === 'string' && typeof more === 'string') return before + more
  if (Array.isArray(before) && Array.isArray(more)) {
    const list: unknown[] = copies.has(before) ? before : Array.from<unknown>(before)
    copies.add(list)
    for (const item of more) list.push(item)
    return list
  }
  if (isRecord(before) && isRecord(more)) {
    const fields = before instanceof JoinedFields ? before : new JoinedFields(rule, before)
    fields.addAll(more)
    return fields
  }
  return more ?? before
}
