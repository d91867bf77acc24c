import type { PinnedProcess } from '../processes.ts'

/** A process under test, and what a reader says to it for a stream. */
export interface Subject {
  process: PinnedProcess
  port: number
  request: string
}

export interface Running extends Subject {
  /** Asks for the same answer as a whole. */
  wholeRequest: string
  version?: string
}

export interface Surroundings {
  upstreamPort: number
  /** The Node binary for relays written in JavaScript. */
  node: string
}

/** Something that stands between readers and an upstream that speaks Chat Completions. */
export interface Relay {
  /** What `--peers` takes. */
  readonly id: string
  readonly title: string
  /** By what the streams and the rate of each are multiplied for it; 1 unless it would drown in all of them. */
  readonly scale?: number
  /** Milliseconds that it sleeps before the first token. */
  readonly sleepMs?: number
  /** Without it there is nothing to measure. */
  readonly ours?: boolean
  /** Compared only where relaying is. */
  readonly relayingOnly?: boolean
  /** The same gateway with access control and a log, for the measures of opening. */
  readonly guarded?: Relay
  /** Left out of a quick run: it takes too long to start, or no target is measured against it. */
  readonly fullOnly?: boolean
  /** @throws Missing when it is not here and cannot be installed */
  start(surroundings: Surroundings): Promise<Running>
}

/** Cannot be had on this machine; the message says why. */
export class Missing extends Error {}
