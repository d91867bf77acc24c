import type { Provider } from '../../providers/provider.ts'
import type { Key } from '../../providers/registry.ts'
import type { Breaker } from './breaker.ts'

/** In milliseconds; undefined means no limit. */
export interface Timeouts {
  /** For connecting to the upstream, TLS included. */
  connectTimeoutMs: number
  /** From the start of an attempt to its first token. */
  firstTokenTimeoutMs: number
  /** Of silence after the first token. */
  idleTimeoutMs: number
  /** For the whole of an attempt. */
  totalTimeoutMs: number | undefined
}

/** One model of one provider, with its settings. */
export interface Target {
  /** As in the configuration: `provider/model`. */
  readonly name: string
  readonly provider: Provider
  /** The provider's name for the model. */
  readonly model: string
  readonly options: Readonly<Record<string, unknown>>
  /** API keys: each attempt draws one. Empty when the provider needs none. */
  readonly keys: readonly Key[]
  readonly timeouts: Timeouts
  /** Most retries for one request. */
  readonly retries: number
  readonly breaker: Breaker
}

/** The targets to try for a request. */
export interface Plan {
  /** The public name of the requested model. */
  readonly model: string
  /** Never empty; in the order in which they are tried. */
  readonly targets: readonly [Target, ...Target[]]
}
