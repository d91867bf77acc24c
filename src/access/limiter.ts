import { SluiceError } from '../errors.ts'
import { Admission, clientOf, type Clock } from './admission.ts'
import type { Caller, Limits } from './caller.ts'
import { counterOf, describeLimits, inWords, ofWhom, RuleBook, type LimitLabel, type Rule } from './limit-rules.ts'
import type { Claim, CounterState, LimitStore } from './limit-store.ts'

/** Tokens reserved for an answer whose request names no limit. */
const USUAL_ANSWER = 1024

/** When another stream will have ended is not known. */
const RETRY_STREAMS_MS = 1000

/**
 * What a request is about to use.
 *
 * - `request`: nothing but a request
 * - `forward`: a request that is passed on, and whose tokens are known at its end
 * - `stream`: a request that starts a stream
 */
export type Demand =
  | { readonly kind: 'request' }
  | { readonly kind: 'forward' }
  | {
      readonly kind: 'stream'
      /** Estimated; asked only if a limit needs it. */
      readonly promptTokens: () => number
      /** Most tokens of the answer, if the request names it. */
      readonly maxTokens: number | undefined
      /** Cost of so many tokens, in billionths of the currency; absent when there is no price. */
      readonly costOf?: ((promptTokens: number, answerTokens: number) => number) | undefined
    }

/** Outcome of `admit`, with the headers that tell it to the client. */
export interface Decision {
  readonly headers: Readonly<Record<string, string>>
  /** To be settled; undefined when the request was refused, or counts as a request only. */
  readonly admission?: Admission
  readonly refusal?: SluiceError
}

export interface LimiterOptions {
  store: LimitStore
  /** Of all callers together. */
  limits: Limits
  /** Told of each request that is refused. */
  onRefusal?: (caller: Caller, limit: LimitLabel) => void
  clock?: Clock
}

const CLOCK: Clock = { today: () => Date.now(), now: () => performance.now() }

/** Decides, before anything is spent, whether a request stays within the limits of its caller. */
export class Limiter {
  readonly #store: LimitStore
  readonly #limits: Limits
  readonly #onRefusal: (caller: Caller, limit: LimitLabel) => void
  readonly #clock: Clock
  readonly #gateway = new RuleBook('gateway')
  readonly #caller = new RuleBook('caller')
  readonly #user = new RuleBook('user')

  constructor({ store, limits, onRefusal = () => {}, clock = CLOCK }: LimiterOptions) {
    this.#store = store
    this.#limits = limits
    this.#onRefusal = onRefusal
    this.#clock = clock
  }

  /** Whether anything is counted for this caller. If not, it needs no `admit`. */
  counts({ principal, user }: Caller): boolean {
    return (
      this.#gateway.of(this.#limits).length > 0 ||
      this.#caller.of(principal.limits).length > 0 ||
      (user !== undefined && this.#user.of(principal.userLimits).length > 0)
    )
  }

  /** Most tokens of one answer for this caller; `Infinity` when there is no limit. */
  maxTokens({ principal, user }: Caller): number {
    return Math.min(
      this.#limits.maxTokens ?? Infinity,
      principal.limits.maxTokens ?? Infinity,
      (user === undefined ? undefined : principal.userLimits.maxTokens) ?? Infinity,
    )
  }

  /** Whether what this caller's requests cost is limited. */
  limitsCost(caller: Caller): boolean {
    return this.counts(caller) && this.#rulesOf(caller).some(({ unit }) => unit === 'cost')
  }

  /** Takes what the request may use from all limits of its caller, or, when one would be exceeded, from none. */
  async admit(caller: Caller, demand: Demand): Promise<Decision> {
    const rules = this.#rulesOf(caller).filter(({ unit }) => demand.kind !== 'request' || unit === 'requests')
    const needsTokens = demand.kind === 'stream' && rules.some(({ unit }) => unit === 'tokens' || unit === 'cost')
    const promptTokens = needsTokens ? demand.promptTokens() : 0
    const usualAnswer = Math.min(USUAL_ANSWER, this.maxTokens(caller))
    const today = this.#clock.today()
    const claims: Claim[] = []
    for (const rule of rules) {
      const amount = amountFor(rule, demand, promptTokens, usualAnswer)
      if (amount > rule.most) return this.#refuse(caller, tooLarge(rule, amount), rule, {})
      claims.push(counterOf(rule, caller, amount, today))
    }
    const { ok, counters } = await this.#store.take(claims, clientOf(caller))
    const headers = describeLimits(rules, counters)
    if (!ok) {
      const { rule, endsInMs } = longest(rules, claims, counters)
      return this.#refuse(caller, exceeded(rule, endsInMs), rule, headers)
    }
    const parts = { store: this.#store, clock: this.#clock, caller, rules, claims, counters, promptTokens }
    return demand.kind === 'request' ? { headers } : { headers, admission: new Admission(parts) }
  }

  /** Counts a request that is refused by a limit that has no counter. */
  refused(caller: Caller, limit: LimitLabel): void {
    this.#onRefusal(caller, limit)
  }

  #refuse(caller: Caller, refusal: SluiceError, { label }: Rule, headers: Decision['headers']): Decision {
    this.#onRefusal(caller, label)
    return { refusal, headers }
  }

  #rulesOf({ principal, user }: Caller): Rule[] {
    return [
      ...this.#gateway.of(this.#limits),
      ...this.#caller.of(principal.limits),
      ...(user === undefined ? [] : this.#user.of(principal.userLimits)),
    ]
  }
}

/** The amount to reserve under a limit. */
function amountFor({ unit, most }: Rule, demand: Demand, promptTokens: number, usualAnswer: number): number {
  // At least 1, so that a limit that has been reached refuses the request.
  if (unit === 'requests' || unit === 'streams' || demand.kind !== 'stream') return 1
  const answer = demand.maxTokens ?? usualAnswer
  const amountOf = (tokens: number) =>
    unit === 'tokens' ? promptTokens + tokens : Math.max(1, Math.ceil(demand.costOf?.(promptTokens, tokens) ?? 0))
  // A guess must not refuse the request: a small limit lets one at a time through.
  return demand.maxTokens === undefined ? Math.max(amountOf(0), Math.min(amountOf(answer), most)) : amountOf(answer)
}

/** The limit that refuses the request for the longest time. */
function longest(
  rules: readonly Rule[],
  claims: readonly Claim[],
  counters: readonly CounterState[],
): { rule: Rule; endsInMs: number } {
  let found: { rule: Rule; endsInMs: number } | undefined
  for (const [i, rule] of rules.entries()) {
    const [claim, counter] = [claims[i], counters[i]]
    if (!claim || !counter || counter.used + claim.amount <= claim.most) continue
    const endsInMs = counter.endsInMs === Infinity ? RETRY_STREAMS_MS : counter.endsInMs
    if (!found || endsInMs > found.endsInMs) found = { rule, endsInMs }
  }
  if (!found) throw new Error('The store refused a request that fits')
  return found
}

function exceeded(rule: Rule, endsInMs: number): SluiceError {
  const retryAfter = Math.max(1, Math.ceil(endsInMs / 1000))
  const words = `The limit of ${inWords(rule)} of ${ofWhom(rule)} is reached; try again in ${retryAfter} s.`
  return new SluiceError(codeOf(rule), words, { retryAfter })
}

function tooLarge(rule: Rule, amount: number): SluiceError {
  const what = rule.unit === 'tokens' ? `may take ${amount} tokens` : 'alone exceeds it'
  const words = `The limit of ${ofWhom(rule)} is ${inWords(rule)}, and this request ${what}.`
  return new SluiceError(codeOf(rule), words, { retryable: false })
}

/** Who waits for the next minute may retry; a budget is another matter. */
function codeOf({ per }: Rule): 'rate_limit_exceeded' | 'insufficient_quota' {
  return per === 'day' || per === 'month' ? 'insufficient_quota' : 'rate_limit_exceeded'
}
