// Usage by day, caller and model, in the memory of this process.

import type { Charge } from './accounts.ts'

export const DAY_MS = 86_400_000

/** Older days are forgotten. */
export const DAYS_KEPT = 100

/** For one caller and day; others are counted as `other`: callers may choose the names of models. */
export const MODELS_KEPT = 50

/** Rows of all days and callers, a few hundred bytes each; beyond it the oldest day is forgotten. */
export const ROWS_KEPT = 100_000

const OTHER = 'other'

export interface LedgerRow {
  /** `YYYY-MM-DD`, by UTC. */
  readonly date: string
  /** The name of a key. */
  readonly caller: string
  /** `provider/model`, or `other`. */
  readonly model: string
  streams: number
  /** Requests that were passed on. */
  forwards: number
  prompt_tokens: number
  completion_tokens: number
  /** How many of these tokens are estimates. */
  estimated_tokens: number
  nanos: number
}

/** Usage by day, caller and model: of this process, or of all nodes. */
export interface UsageLedger {
  add(charge: Charge): void
  /**
   * The rows of these days, both included, by day and caller.
   *
   * @throws SluiceError `store_unavailable`
   */
  rows(from: string, to: string, caller?: string): Iterable<LedgerRow> | Promise<Iterable<LedgerRow>>
  close(): Promise<void>
}

/** The rows of this process. */
export class Ledger implements UsageLedger {
  /** By date, in order, then by caller, then by model. */
  readonly #days = new Map<string, Map<string, Map<string, LedgerRow>>>()
  /** The day of the last charge, so that its date is not formatted each time. */
  #today = { day: NaN, date: '' }
  #size = 0
  readonly #most: number

  constructor({ most = ROWS_KEPT } = {}) {
    this.#most = most
  }

  /** @returns the row that has changed */
  add(charge: Charge): LedgerRow {
    const { kind, time, caller, provider, model, prompt_tokens, completion_tokens, estimated, nanos = 0 } = charge
    const row = this.#row(this.#dateOf(time), caller.principal.name, `${provider}/${model}`)
    if (kind === 'stream') row.streams += 1
    else row.forwards += 1
    row.prompt_tokens += prompt_tokens
    row.completion_tokens += completion_tokens
    if (estimated) row.estimated_tokens += prompt_tokens + completion_tokens
    row.nanos += nanos
    return row
  }

  async close(): Promise<void> {}

  /** The rows of these days, both included, by day, caller and order of first use. */
  *rows(from: string, to: string, caller?: string): Generator<LedgerRow> {
    const dates = [...this.#days.keys()].filter((date) => date >= from && date <= to).toSorted()
    for (const date of dates)
      for (const [name, models] of this.#days.get(date) ?? [])
        if (caller === undefined || caller === name) yield* models.values()
  }

  #dateOf(time: number): string {
    const day = Math.floor(time / DAY_MS)
    if (day !== this.#today.day) this.#today = { day, date: dateOf(time) }
    return this.#today.date
  }

  #row(date: string, caller: string, model: string): LedgerRow {
    let day = this.#days.get(date)
    if (!day) {
      this.#days.set(date, (day = new Map()))
      if (this.#days.size > DAYS_KEPT) this.#forgetOldest()
    }
    let models = day.get(caller)
    if (!models) day.set(caller, (models = new Map()))
    const name = models.has(model) || models.size < MODELS_KEPT ? model : OTHER
    let row = models.get(name)
    if (!row) {
      models.set(name, (row = emptyRow(date, caller, name)))
      this.#size += 1
      if (this.#size > this.#most && this.#days.size > 1) this.#forgetOldest()
    }
    return row
  }

  /** The wall clock may be set back: the oldest date need not be the first. */
  #forgetOldest(): void {
    const [oldest = ''] = [...this.#days.keys()].toSorted()
    for (const models of this.#days.get(oldest)?.values() ?? []) this.#size -= models.size
    this.#days.delete(oldest)
  }
}

export function dateOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}

export function emptyRow(date: string, caller: string, model: string): LedgerRow {
  const counts = { streams: 0, forwards: 0, prompt_tokens: 0, completion_tokens: 0, estimated_tokens: 0, nanos: 0 }
  return { date, caller, model, ...counts }
}
