import type { StreamLog } from './stream-log.ts'

export interface StreamInit {
  owner: string
  model: string
  provider: string
  /** The address of the client. */
  client?: string | undefined
  /** Memory of the running stream, apart from its log. */
  runningBytes?: number | undefined
  /** Name of the protocol of the request. */
  protocol?: string | undefined
  labels?: Readonly<Record<string, string>> | undefined
  /** Makes the creation idempotent for its owner, as long as the stream can be read. */
  idempotency?: Idempotency | undefined
}

export interface Idempotency {
  key: string
  /** Stands for everything else in the request: the same key with another fingerprint is a conflict. */
  fingerprint: string
  /** The reader has seen a part of the stream: it joins it however it ended, and never creates another. */
  resuming?: boolean
}

export interface Created {
  log: StreamLog
  /** The log was there already, by its idempotency key: it has a writer, and needs no second one. */
  joined: boolean
}

/** `expired`: it was here, its retention is over, and that is still remembered. */
export type Found = { status: 'found'; log: StreamLog } | { status: 'expired' } | { status: 'unknown' }

export interface StoreLimits {
  /** How long a finished stream can still be read, in milliseconds. */
  retentionMs: number
  /** Bytes of one log, beyond which it ends with `stream_too_large`. */
  streamMaxBytes: number
  /** Bytes held for clients and upstreams in total, logs and everything else. */
  storeMaxBytes: number
}

/** Keeps logs from their creation to the end of their retention. */
export interface StreamStore {
  /**
   * @throws SluiceError `store_full` when there is no room and no finished stream to drop; `idempotency_conflict`
   * when the key was used for another request; `stream_not_found` when there is nothing to resume.
   */
  create(init: StreamInit): Promise<Created>
  /** Someone else's stream is `unknown`. */
  find(id: string, owner: string): Promise<Found>
  /** Bytes of all logs that are kept. */
  readonly bytes: number
  /** Forgets everything and stops every timer. */
  close(): Promise<void>
}
