/** A cooldown doubles with each failed probe, up to this. */
const LONGEST_COOLDOWN_MS = 5 * 60_000

/** How long a rate-limited target is skipped when it sends no `Retry-After`. */
const LIMIT_SECONDS = 5
/** Longest time for which a rate-limited target is skipped. */
const LONGEST_LIMIT_SECONDS = 10 * 60

export interface BreakerOptions {
  /** Consecutive failures that open the breaker. */
  failures: number
  /** First cooldown, in milliseconds. */
  cooldownMs: number
  /** A monotonic clock, in milliseconds. */
  now?: () => number
}

/**
 * Permission for one attempt. Its holder reports `answered` if a token came, and then one of the other three. Reports
 * from before a state change are ignored.
 */
export interface Permit {
  /** The first token has come. If the attempt is a probe, this closes the breaker. */
  answered(): void
  succeeded(): void
  /** Failed in a way that counts against the target. */
  failed(): void
  /** Ended in a way that says nothing about the target. */
  released(): void
}

/**
 * A circuit breaker for one target. It also remembers a rate limit (429), which is not a failure: the target is
 * healthy, but asks for later requests.
 *
 * - closed: every attempt may start; consecutive failures open it.
 * - open: no attempt may start until the cooldown is over.
 * - half-open: one attempt probes the target; a token closes the breaker, a failure opens it for twice as long.
 */
export class Breaker {
  readonly #failures: number
  readonly #firstCooldownMs: number
  readonly #now: () => number
  #state: 'closed' | 'open' | 'half-open' = 'closed'
  /** Changes with the state, to recognise permits from before the change. */
  #epoch = 0
  /** Failures before a token, since the last token. */
  #unanswered = 0
  /** Failures after a token, since the last success. Separate, because a long stream succeeds long after its token. */
  #broken = 0
  #cooldownMs: number
  #openUntil = 0
  #limitedUntil = 0

  constructor({ failures, cooldownMs, now = () => performance.now() }: BreakerOptions) {
    this.#failures = failures
    this.#firstCooldownMs = cooldownMs
    this.#cooldownMs = cooldownMs
    this.#now = now
  }

  get closed(): boolean {
    return this.#state === 'closed'
  }

  /** Open and within the cooldown. Afterwards the next attempt is a probe. */
  get open(): boolean {
    return this.#state === 'open' && this.#now() < this.#openUntil
  }

  /** Whether `enter` would give a permit now. */
  get ready(): boolean {
    return this.#state !== 'half-open' && !this.open
  }

  /** The target is rate-limited: try it only when there is no other target. */
  get limited(): boolean {
    return this.#now() < this.#limitedUntil
  }

  /** Remembers that the target is rate-limited for `seconds`. */
  limit(seconds = LIMIT_SECONDS): void {
    this.#limitedUntil = this.#now() + Math.min(seconds, LONGEST_LIMIT_SECONDS) * 1000
  }

  /** Seconds until an attempt may make sense, 0 when closed. */
  get retryAfter(): number {
    if (this.#state === 'closed') return 0
    return Math.max(1, Math.ceil((this.#openUntil - this.#now()) / 1000))
  }

  /**
   * A permit for one attempt, if one may start now.
   *
   * @param counted a failure of the same run has been counted; a retry that fails before its first token adds none
   */
  enter(counted = false): Permit | undefined {
    if (!this.ready) return undefined
    if (this.#state === 'open') this.#become('half-open')
    return this.#permit(counted)
  }

  #permit(counted: boolean): Permit {
    let epoch = this.#epoch
    let answered = false
    const heard = (): boolean => epoch === this.#epoch
    return {
      answered: () => {
        if (!heard()) return
        answered = true
        this.#close()
        this.#unanswered = 0
        epoch = this.#epoch
      },
      succeeded: () => {
        if (!heard()) return
        this.#close()
        this.#unanswered = 0
        this.#broken = 0
      },
      failed: () => {
        if (!heard()) return
        if (answered) this.#broken += 1
        else if (!counted) this.#unanswered += 1
        if (this.#state === 'half-open' || this.#unanswered + this.#broken >= this.#failures) this.#open()
      },
      released: () => {
        // The cooldown is already over: the next attempt probes.
        if (heard() && this.#state === 'half-open') this.#become('open')
      },
    }
  }

  #open(): void {
    this.#become('open')
    this.#openUntil = this.#now() + this.#cooldownMs
    this.#cooldownMs = Math.max(this.#firstCooldownMs, Math.min(2 * this.#cooldownMs, LONGEST_COOLDOWN_MS))
  }

  #close(): void {
    if (this.#state === 'closed') return
    this.#become('closed')
    this.#cooldownMs = this.#firstCooldownMs
    this.#unanswered = 0
    this.#broken = 0
  }

  #become(state: 'closed' | 'open' | 'half-open'): void {
    this.#state = state
    this.#epoch += 1
  }
}

/** Bounds the number of breakers: a provider that accepts any model lets clients invent names. */
const MAX_BREAKERS = 1024

/** The breakers of all targets. */
export class Breakers {
  readonly #options: BreakerOptions
  readonly #breakers = new Map<string, { provider: string; breaker: Breaker }>()

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  of(provider: string, model: string): Breaker {
    const target = `${provider}/${model}`
    const entry = this.#breakers.get(target) ?? { provider, breaker: new Breaker(this.#options) }
    // A Map keeps insertion order, so re-inserting makes its first entry the least recently used.
    this.#breakers.delete(target)
    this.#breakers.set(target, entry)
    const [oldest] = this.#breakers.keys()
    if (oldest !== undefined && this.#breakers.size > MAX_BREAKERS) this.#breakers.delete(oldest)
    return entry.breaker
  }

  /** Forgets what is known of a provider: its targets are others now. */
  forget(provider: string): void {
    for (const [target, each] of this.#breakers) if (each.provider === provider) this.#breakers.delete(target)
  }

  /** How many breakers of a provider are open. */
  countOpen(provider: string): number {
    let count = 0
    for (const each of this.#breakers.values()) if (each.provider === provider && each.breaker.open) count += 1
    return count
  }
}
