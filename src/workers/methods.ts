// What the primary and its workers call of each other.

import type { Config } from '../config.ts'
import type { Fault } from '../faults.ts'
import type { Backplane, RecordLifetimes } from '../store/backplane/backplane.ts'

/** The methods of a backplane that are passed on unchanged. */
export const SHARED = [
  'createStream',
  'findStream',
  'append',
  'readPieces',
  'dropStream',
  'claimName',
  'setName',
  'findName',
  'settleName',
  'areHeld',
  'post',
  'secret',
  'take',
  'add',
  'giveBack',
  'hold',
  'addUsage',
  'readUsage',
] as const satisfies readonly (keyof Backplane)[]

/** The backplane, as the primary serves it to a worker. */
export interface BackplaneMethods extends Pick<Backplane, (typeof SHARED)[number] | 'renewLease' | 'endLease'> {
  /** Before everything else. The first worker's lifetimes hold for all: they have the same settings. */
  open(lifetimes: RecordLifetimes): Promise<void>
  /** Messages come by `deliver`. */
  listen(inbox: string): Promise<void>
}

/** What a worker that listens tells. */
export interface Listening {
  readonly url: string
  readonly adminUrl: string | undefined
  /** Callers need no key. */
  readonly isOpen: boolean
  /** A model for the first request: empty when it needs to name none, undefined when none is known. */
  readonly model: string | undefined
}

/** What is open in a worker, or in several. */
export interface OpenCounts {
  /** Readers of streams. */
  readonly connections: number
  /** Streams that have not ended. */
  readonly streams: number
}

export interface PrimaryMethods extends BackplaneMethods {
  /** The configuration in force: read once for all workers, also for those that start later. */
  config(): Promise<Config>
  listening(listening: Listening): Promise<void>
  /** The worker cannot start, and ends. */
  failed(reason: string): Promise<void>
  /** What is open in the worker has changed. */
  counts(counts: OpenCounts): Promise<void>
  /** The metrics of all workers together, as OpenMetrics or in the text format of Prometheus. */
  sumMetrics(open: boolean): Promise<string>
}

export interface WorkerMethods {
  /** Resolves when the messages have been passed on. */
  deliver(inbox: string, messages: readonly string[], gap: boolean): Promise<void>
  /** Drains, and ends. */
  stop(reason: string): Promise<void>
  /** Puts a configuration in force as soon as it listens; with faults, it keeps the one that it has. */
  reload(config: Config): Promise<readonly Fault[]>
  /** What is open in all other workers has changed. */
  elsewhere(counts: OpenCounts): Promise<void>
  /** Its own metrics, as OpenMetrics. */
  metrics(): Promise<string>
}
