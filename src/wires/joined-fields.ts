import { isRecord, type Fields } from './fields.ts'

/** Whether the field of this name grows: the rule for the fields in it, or undefined when its last value wins. */
export type Rule = (name: string) => Rule | undefined

/** Strings, lists and objects grow, and all that is in them. */
export const growing: Rule = () => growing

/** Of each field the last value. */
export const replacing: Rule = () => undefined

/**
 * Adds up fields that arrive in pieces. Where nothing can grow the last value wins, though null replaces no value. The
 * first value is kept uncopied; the second copies it once and grows the copy, so the cost is linear in what arrives.
 */
export class JoinedFields {
  /** Upstreams choose the names. */
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

/** Lists that are copies of ours, and that nobody else has seen: they may grow. */
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
