import type { Provider } from '../../providers/provider.ts'
import type { Key } from '../../providers/registry.ts'
import type { Breaker } from './breaker.ts'

/** In milliseconds; there is no limit where one is undefined. */
export interface Timeouts {
  /** For the connection to its server, TLS included. */
  connectTimeoutMs: number
  /** From the start of an attempt to its first token. */
  firstTokenTimeoutMs: number
  /** Of silence after the first token. */
  idleTimeoutMs: number
  /** For the whole of an attempt. */
  totalTimeoutMs: number | undefined
}

/** One model of one provider, and how it is to be used. */
export interface Target {
  /** As in the configuration: `provider/model`. */
  readonly name: string
  readonly provider: Provider
  /** The name that the provider knows. */
  readonly model: string
  readonly options: Readonly<Record<string, unknown>>
  /** Of which each attempt draws one; empty when the provider needs none. */
  readonly keys: readonly Key[]
  readonly timeouts: Timeouts
  /** How often it may be tried again for one request. */
  readonly retries: number
  readonly breaker: Breaker
}

/** Who is to answer a request. */
export interface Plan {
  /** The model that was asked for, by its public name. */
  readonly model: string
  /** Never empty; in the order in which they are tried. */
  readonly targets: readonly [Target, ...Target[]]
}
