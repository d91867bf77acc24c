import { SluiceError } from '../errors.ts'
import type { Done } from '../stream/events.ts'
import type { StreamInfo } from '../stream/stream-log.ts'

export interface Idempotency {
  key: string
  /** Hash of the rest of the request: the same key with another fingerprint is a conflict. */
  fingerprint: string
  /** The reader has seen part of the stream: it joins the stream however that ended, and never creates another. */
  resuming?: boolean
}

export interface Names {
  /** Makes the creation idempotent for its owner, as long as the stream can be read. */
  idempotency?: Idempotency | undefined
  /** A second name of the stream, among those of its owner. The newest stream of a name has it. */
  alias?: string | undefined
  /** The client to which the memory of the names is charged. */
  client?: string | undefined
  /** What the protocol keeps of the request, for other nodes. */
  kept?: string | undefined
}

export interface Registered {
  info: StreamInfo
  /** The stream was there already, by its idempotency key: it has a writer, and needs no second one. */
  joined: boolean
}

/** `expired`: the stream was here, its retention is over, and that is still remembered. */
export type Located =
  | { status: 'found'; info: StreamInfo; kept?: string | undefined }
  | { status: 'expired' }
  | { status: 'unknown' }

/**
 * Knows which streams there are, under all their names, and whose they are. It may be shared by several nodes.
 *
 * A method rejects when it cannot reach the directory's storage: clients then get `store_unavailable`, never
 * `stream_not_found`.
 */
export interface Directory {
  /**
   * Registers a stream, or finds the one of the same idempotency key. Concurrent calls with one key register one.
   *
   * A stream that was cancelled, or failed with a `retryable` error, is not joined: its key is free to be reused.
   * A reader that resumes joins it all the same.
   *
   * @throws SluiceError `idempotency_conflict` when the key was used for another request; `stream_not_found` when there
   * is nothing to resume.
   */
  create(info: StreamInfo, names: Names): Promise<Registered>
  /** Like `create`, but never registers: `undefined` where `create` would. */
  join(owner: string, idempotency: Idempotency): Promise<StreamInfo | undefined>
  /** Someone else's stream is `unknown`. @param owner undefined for any owner: for readers with a ticket */
  find(id: string, owner: string | undefined): Promise<Located>
  /** The newest stream of this alias; `unknown` once that has expired. */
  findByAlias(alias: string, owner: string): Promise<Located>
  /** A stream that was created here has ended: its retention begins. Must not throw. */
  ended(id: string, done: Done): void
  /**
   * The log of a stream that was created here has left the memory. For directories whose streams are kept nowhere else:
   * the stream is `expired` from now on. Must not throw.
   *
   * @param client to which the memory of the record is charged
   */
  dropped?(id: string, client: string): void
  /** A client deletes a stream, on whatever node it was created. Absent where `dropped` is enough. */
  forget?(id: string): Promise<void>
  /** Frees expendable memory, such as a tombstone; false when there is none. */
  reclaim?(): boolean
  /** Stops every timer and connection. */
  close(): Promise<void>
}

/** Whether the key of a stream that ended so is free for another attempt. */
export function freesKey({ finish_reason, error }: Done): boolean {
  return finish_reason === 'cancelled' || error?.retryable === true
}

export function idempotencyConflict(): SluiceError {
  return new SluiceError('idempotency_conflict', 'Idempotency-Key: it was used for a different request.', {
    faults: [{ path: 'Idempotency-Key', message: 'was used for a different request' }],
  })
}

export function nothingToResume(): SluiceError {
  return new SluiceError(
    'stream_not_found',
    'The stream of this Idempotency-Key is no longer kept; without Last-Event-ID the request starts another one.',
  )
}
