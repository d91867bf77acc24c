import { SluiceError } from '../errors.ts'
import type { Backplane } from '../store/backplane/backplane.ts'
import type { Charge } from './accounts.ts'
import { dateOf, DAY_MS, DAYS_KEPT, emptyRow, Ledger, type LedgerRow, type UsageLedger } from './ledger.ts'

/** How long charges wait to be sent together, in milliseconds. */
const GATHER_MS = 1000

/** The numbers of a row. */
const NUMBERS = [
  'streams',
  'forwards',
  'prompt_tokens',
  'completion_tokens',
  'estimated_tokens',
  'nanos',
] as const satisfies readonly (keyof LedgerRow)[]

/**
 * The usage of all nodes. Each node keeps its own rows, which bound the names that callers can choose, and adds what is
 * new of them to the shared ones every second. A node that is killed loses the last second.
 */
export class SharedLedger implements UsageLedger {
  readonly #backplane: Backplane
  readonly #own = new Ledger()
  /** Of rows that have changed: what is shared already. */
  readonly #changed = new Set<LedgerRow>()
  readonly #shared = new WeakMap<LedgerRow, LedgerRow>()
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> = Promise.resolve()

  constructor(backplane: Backplane) {
    this.#backplane = backplane
  }

  add(charge: Charge): void {
    this.#changed.add(this.#own.add(charge))
    this.#schedule()
  }

  /** @throws SluiceError `store_unavailable` */
  async rows(from: string, to: string, caller?: string): Promise<LedgerRow[]> {
    await this.#send()
    try {
      const days = await Promise.all(datesBetween(from, to).map((date) => this.#rowsOf(date)))
      return days.flat().filter((row) => caller === undefined || row.caller === caller)
    } catch (cause) {
      throw new SluiceError('store_unavailable', 'The gateway cannot reach its records; try again later.', {
        cause,
        retryAfter: 5,
      })
    }
  }

  async close(): Promise<void> {
    await this.#send()
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => void this.#send(), GATHER_MS).unref()
  }

  #send(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#sending = this.#sending.then(() => this.#sendAll())
    return this.#sending
  }

  async #sendAll(): Promise<void> {
    const changed = [...this.#changed]
    this.#changed.clear()
    const dates = new Set(changed.map(({ date }) => date))
    const rowsOf = (date: string) => changed.filter((row) => row.date === date)
    await Promise.all([...dates].map((date) => this.#sendDay(date, rowsOf(date))))
  }

  async #sendDay(date: string, rows: readonly LedgerRow[]): Promise<void> {
    const sent = rows.map((row) => ({ ...row }))
    const amounts = new Map<string, number>()
    for (const [i, row] of rows.entries()) {
      const shared = this.#shared.get(row)
      for (const name of NUMBERS) {
        const more = (sent[i]?.[name] ?? 0) - (shared?.[name] ?? 0)
        if (more > 0) amounts.set(JSON.stringify([row.caller, row.model, name]), more)
      }
    }
    try {
      if (amounts.size > 0) await this.#backplane.addUsage(date, amounts)
      for (const [i, row] of rows.entries()) this.#shared.set(row, sent[i] ?? row)
    } catch {
      for (const row of rows) this.#changed.add(row)
      this.#schedule()
    }
  }

  async #rowsOf(date: string): Promise<LedgerRow[]> {
    const rows = new Map<string, LedgerRow>()
    for (const [field, amount] of await this.#backplane.readUsage(date)) {
      const names: unknown = JSON.parse(field)
      if (!Array.isArray(names)) continue
      const [caller, model, column]: unknown[] = names
      const name = NUMBERS.find((each) => each === column)
      const key = JSON.stringify([caller, model])
      let row = rows.get(key)
      if (!row) rows.set(key, (row = emptyRow(date, String(caller), String(model))))
      if (name) row[name] += amount
    }
    return [...rows.values()].toSorted((a, b) => compare(a.caller, b.caller) || compare(a.model, b.model))
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** Both included, of the days that are kept; and tomorrow, as the clocks of nodes differ. */
function datesBetween(from: string, to: string): string[] {
  const now = Date.now()
  const kept = Array.from({ length: DAYS_KEPT + 2 }, (_, i) => dateOf(now + (i - DAYS_KEPT) * DAY_MS))
  return kept.filter((date) => date >= from && date <= to)
}
