// The store of counters: in memory, or, for several nodes, shared.

/** An amount of a counter. All amounts are integers. */
export interface Amount {
  /** The counter's. */
  readonly name: string
  readonly amount: number
}

/** An amount to add, to a counter that may have to begin. */
export interface Increment extends Amount {
  /**
   * Milliseconds after which a counter that begins now is back at 0. `Infinity` for a gauge, whose amounts are held
   * until they are given back; a shared store must also drop those of a node that died.
   */
  readonly lastsMs: number
}

/** An amount to add if it fits. */
export interface Claim extends Increment {
  /** The sum that the counter may reach. */
  readonly most: number
}

/** A counter as it stands. */
export interface CounterState {
  readonly used: number
  /** Milliseconds until it is back at 0; `Infinity` for a gauge. */
  readonly endsInMs: number
}

export interface Taken {
  /** False when an amount did not fit: nothing was added then. */
  readonly ok: boolean
  /** In the order of the claims. */
  readonly counters: readonly CounterState[]
}

/**
 * Counters by name. A counter begins with the first amount that is added to it, and ends after its time.
 *
 * Amounts that take effect never add up to more than `most`, however many calls run at once.
 */
export interface LimitStore {
  /**
   * Adds all amounts, or, when one does not fit, none.
   *
   * @param client to which the memory of new counters is charged
   * @throws SluiceError `store_full`, or `store_unavailable` when the counters cannot be reached
   */
  take(claims: readonly Claim[], client: string): Promise<Taken>
  /** Adds without a check. Must not reject: the amount is already spent. */
  add(increment: Increment, client: string): Promise<CounterState>
  /** Subtracts, but not below 0, and nothing from counters that have ended. Must not reject. */
  giveBack(amounts: readonly Amount[]): Promise<void>
  /** Stops every timer and connection. */
  close(): Promise<void>
}
