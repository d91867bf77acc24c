// From the limits of a caller to rules, their counters and their headers.

import { toCost, toNanos } from '../cost.ts'
import type { Caller, Limits } from './caller.ts'
import type { Claim, CounterState } from './limit-store.ts'

/** Headers state costs in millionths: their integers have at most 15 digits. */
const NANOS_PER_MILLIONTH = 1000

type Unit = 'requests' | 'streams' | 'tokens' | 'cost'
type Per = 'minute' | 'day' | 'month' | undefined

/** Limits that have a counter. The labels are values of a metric, and part of the names in headers. */
const COUNTED_LIMITS = [
  { setting: 'requestsPerMinute', label: 'requests_per_minute', unit: 'requests', per: 'minute' },
  { setting: 'concurrentStreams', label: 'concurrent_streams', unit: 'streams', per: undefined },
  { setting: 'tokensPerMinute', label: 'tokens_per_minute', unit: 'tokens', per: 'minute' },
  { setting: 'tokensPerDay', label: 'tokens_per_day', unit: 'tokens', per: 'day' },
  { setting: 'costPerDay', label: 'cost_per_day', unit: 'cost', per: 'day' },
  { setting: 'costPerMonth', label: 'cost_per_month', unit: 'cost', per: 'month' },
] as const satisfies readonly { setting: keyof Limits; label: string; unit: Unit; per: Per }[]

/** Values of the label `limit`: counted limits, limits of a single request, and limits of the whole gateway. */
export const LIMIT_LABELS = [
  ...COUNTED_LIMITS.map(({ label }) => label),
  'max_tokens',
  'models',
  'max_streams',
  'overload',
] as const
export type LimitLabel = (typeof LIMIT_LABELS)[number]

/** The use that is added up: of all callers, of one key or issuer, or of one end user. */
export type Level = 'gateway' | 'caller' | 'user'

/** One counted limit at one level. */
export interface Rule {
  readonly level: Level
  readonly label: LimitLabel
  readonly unit: Unit
  readonly per: Per
  /** In tokens, requests, streams, or billionths of the currency. */
  readonly most: number
  /** Its name in headers. */
  readonly policy: string
  /** Its item in `RateLimit-Policy`; empty when clients may not know it. */
  readonly description: string
}

/** The rules of one level. Configured limits do not change, so they are read once. */
export class RuleBook {
  readonly #level: Level
  readonly #rules = new WeakMap<Limits, readonly Rule[]>()

  constructor(level: Level) {
    this.#level = level
  }

  of(limits: Limits): readonly Rule[] {
    let rules = this.#rules.get(limits)
    if (!rules) this.#rules.set(limits, (rules = this.#read(limits)))
    return rules
  }

  #read(limits: Limits): readonly Rule[] {
    const level = this.#level
    return COUNTED_LIMITS.flatMap(({ setting, label, unit, per }) => {
      const { [setting]: limit } = limits
      if (limit === undefined) return []
      const most = unit === 'cost' ? toNanos(limit) : limit
      const policy = `${level}-${label.replaceAll('_', '-')}`
      const description = isPublic(level, unit) ? `"${policy}";q=${shown(unit, most)}${windowOf(unit, per)}` : ''
      return { level, label, unit, per, most, policy, description }
    })
  }
}

/** The counter of a rule now. A day's and a month's counter have the date in their names, by UTC. */
export function counterOf(rule: Rule, caller: Caller, amount: number, now: number): Claim {
  const { label, level, most } = rule
  const { date, lastsMs } = periodOf(rule, now)
  // The owner last: it may have any characters.
  return { name: `${label}@${date}${level}:${ownerAt(level, caller)}`, amount, most, lastsMs }
}

function ownerAt(level: Level, { principal, owner }: Caller): string {
  switch (level) {
    case 'gateway':
      return ''
    case 'caller':
      return principal.name
    case 'user':
      return owner
  }
}

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** A day has 24 hours in UTC: leap seconds are not counted. */
function periodOf({ per }: Rule, now: number): { date: string; lastsMs: number } {
  switch (per) {
    case undefined:
      return { date: '', lastsMs: Infinity }
    // Begins with the first request, so that callers do not all come back in the same second.
    case 'minute':
      return { date: '', lastsMs: MINUTE_MS }
    case 'day': {
      const { day, nextDay } = calendarAt(now)
      return { date: day, lastsMs: nextDay - now }
    }
    case 'month': {
      const { month, nextMonth } = calendarAt(now)
      return { date: month, lastsMs: nextMonth - now }
    }
  }
}

interface Calendar {
  readonly today: number
  readonly day: string
  readonly nextDay: number
  readonly month: string
  readonly nextMonth: number
}

/** Dates are written once a day: that takes longer than all else about a counter. */
let calendar: Calendar | undefined

function calendarAt(now: number): Calendar {
  const today = now - (now % DAY_MS)
  if (calendar?.today === today) return calendar
  const date = new Date(now)
  const text = date.toISOString()
  const nextMonth = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1)
  return (calendar = {
    today,
    day: `${text.slice(0, 10)} `,
    nextDay: today + DAY_MS,
    month: `${text.slice(0, 7)} `,
    nextMonth,
  })
}

/** Callers do not learn the cost of all of them together. */
function isPublic(level: Level, unit: Unit): boolean {
  return level !== 'gateway' || unit !== 'cost'
}

/** https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers-10 */
export function describeLimits(rules: readonly Rule[], counters: readonly CounterState[]): Record<string, string> {
  const policies: string[] = []
  const states: string[] = []
  for (const [i, rule] of rules.entries()) {
    const counter = counters[i]
    if (!counter || rule.description === '') continue
    policies.push(rule.description)
    const left = shown(rule.unit, Math.max(0, rule.most - counter.used))
    const ends = counter.endsInMs === Infinity ? '' : `;t=${Math.ceil(counter.endsInMs / 1000)}`
    states.push(`"${rule.policy}";r=${left}${ends}`)
  }
  return policies.length === 0 ? {} : { 'RateLimit-Policy': policies.join(', '), RateLimit: states.join(', ') }
}

/** Larger numbers than a header may have are no limits in practice. */
function shown(unit: Unit, amount: number): number {
  return Math.min(unit === 'cost' ? Math.floor(amount / NANOS_PER_MILLIONTH) : amount, 999_999_999_999_999)
}

/** Months have no fixed length, and streams no window. */
function windowOf(unit: Unit, per: Per): string {
  const quota = { requests: '', streams: ';qu="concurrent-requests"', tokens: ';qu="tokens"', cost: ';qu="millionths"' }
  const seconds = per === 'minute' ? MINUTE_MS / 1000 : per === 'day' ? DAY_MS / 1000 : undefined
  return `${quota[unit]}${seconds === undefined ? '' : `;w=${seconds}`}`
}

/** `100 requests per minute`, as in a message. */
export function inWords({ unit, per, most }: Rule): string {
  const amount =
    unit === 'cost' ? `a cost of ${toCost(most)}` : `${most} ${unit === 'streams' ? 'concurrent streams' : unit}`
  return per === undefined ? amount : `${amount} per ${per}`
}

export function ofWhom({ level }: Rule): string {
  switch (level) {
    case 'gateway':
      return 'all callers together'
    case 'caller':
      return 'this caller'
    case 'user':
      return 'this user'
  }
}
