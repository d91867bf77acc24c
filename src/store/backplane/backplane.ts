// What the nodes of one gateway share: a small set of atomic operations, by Redis or by the primary of several workers.

import type { Amount, Claim, CounterState, Increment, Taken } from '../../access/limit-store.ts'

/** A stream as it is registered. */
export interface NewStream {
  readonly id: string
  /** `StreamInfo` as JSON. */
  readonly info: string
  /** What the protocol keeps of the request. */
  readonly kept: string | undefined
  /** The lease under which it runs. */
  readonly lease: string
}

/** A stream as it is stored. */
export interface StreamRecord extends Omit<NewStream, 'id'> {
  /** The seq of the last stored event; 0 when there is none. */
  readonly last: number
  readonly ended: boolean
  /** Its retention is over: the record is a tombstone. */
  readonly expired: boolean
}

/** A piece of a log as JSON, and the seq of its last event. */
export interface StoredPiece {
  readonly last: number
  readonly json: string
}

/** Pieces to store, in order. Without any, it asks only where the stream is. */
export interface Append {
  readonly id: string
  /** The seq of the event before the first. */
  readonly after: number
  readonly pieces: readonly StoredPiece[]
  /** The last piece holds `done`: nothing can be stored after it, and the retention begins. */
  readonly ends: boolean
}

/**
 * - `stored`: all pieces are; `last` is the last of them
 * - `misplaced`: nothing was stored, because the last event is `last` instead of `after`
 * - `ended`: nothing was stored, because `last` is the `done` of the stream, or the stream was dropped
 * - `missing`: there is no such stream
 */
export interface Appended {
  readonly status: 'stored' | 'misplaced' | 'ended' | 'missing'
  readonly last: number
}

/** A claim to a name, for a stream that is registered already. */
export interface NameClaim {
  /** Absent to look only: `claimed` then means that the name is free. */
  readonly id?: string | undefined
  readonly fingerprint: string
  /** Joins the stream however that ended, and claims nothing. */
  readonly resuming: boolean
  /** A stream that is gone, or has failed so that another may replace it: if it has the name, the name is free. */
  readonly stale?: string | undefined
}

/**
 * - `joined`: the stream `id` has the name
 * - `conflict`: it was claimed with another fingerprint
 * - `gone`: a reader resumes, and the stream that it read is no longer known by this name
 */
export type NameClaimed =
  | { readonly status: 'claimed' | 'conflict' | 'gone' }
  | { readonly status: 'joined'; readonly id: string }

/** How long records are kept, in milliseconds. */
export interface RecordLifetimes {
  /** A finished stream can be read. */
  readonly retentionMs: number
  /** After that, it is known to have expired. */
  readonly tombstoneMs: number
  /** Without a sign of its node, a running stream is forgotten. Renewed by `append` with `renew`. */
  readonly runningMs: number
}

/**
 * Every operation is atomic. It rejects when it cannot be reached or refuses: the operation may then have taken effect.
 * All can be repeated but those that add to numbers, which then count twice.
 *
 * Names, leases, inboxes and counters are chosen by the callers, and are opaque here.
 */
export interface Backplane {
  /** Whether the last attempt to reach it succeeded. */
  readonly isUp: boolean
  /** Calls `listener` whenever a connection was made, or lost; not for the first one. */
  onChange(listener: (isUp: boolean) => void): void

  /** Registers a stream; does nothing when it is there already. */
  createStream(stream: NewStream): Promise<void>
  findStream(id: string): Promise<StreamRecord | undefined>
  /** @param renew prolongs the life of the running stream's records; always so with the first pieces */
  append(append: Append, renew: boolean): Promise<Appended>
  /** The stored pieces with events after `after`, in order: at most `most` of them. */
  readPieces(id: string, after: number, most: number): Promise<string[]>
  /** Drops a stream. Its id is known to have expired if `tombstone`, and unknown otherwise. */
  dropStream(id: string, tombstone: boolean): Promise<void>

  /** Claims an idempotency key, or finds the stream that has it. */
  claimName(name: string, claim: NameClaim): Promise<NameClaimed>
  /** Gives a name to a stream, whatever had it before. */
  setName(name: string, id: string): Promise<void>
  findName(name: string): Promise<string | undefined>
  /** The stream has ended: the name is kept for the retention. Does nothing when another stream has it. */
  settleName(name: string, id: string): Promise<void>

  /** Holds a lease for `ms` from now. Resolves to false when it was not held before, which may mean that data is lost. */
  renewLease(lease: string, ms: number): Promise<boolean>
  endLease(lease: string): Promise<void>
  /** Which of these are held, in their order. */
  areHeld(leases: readonly string[]): Promise<boolean[]>

  /** Delivers messages, in order. */
  post(inbox: string, messages: readonly string[]): Promise<void>
  /**
   * Passes on the messages to an inbox from now on. They may be lost with a connection: `onGap` is called when that is
   * possible.
   */
  listen(inbox: string, onMessages: (messages: readonly string[]) => void, onGap: () => void): void

  /** The secret of this name; `fresh` becomes the secret when there is none. */
  secret(name: string, fresh: string): Promise<string>

  /** As in `LimitStore`. Gauges (`lastsMs: Infinity`) count for as long as the lease is held. */
  take(claims: readonly Claim[], lease: string): Promise<Taken>
  add(increment: Increment, lease: string): Promise<CounterState>
  giveBack(amounts: readonly Amount[], lease: string): Promise<void>
  /** Overwrites what gauges hold under a lease: an outage can drop changes, or apply them without an answer. */
  hold(gauges: readonly Amount[], lease: string): Promise<void>

  /** Adds to the numbers of a day (`YYYY-MM-DD`), by field. They are kept for 100 days. */
  addUsage(date: string, amounts: ReadonlyMap<string, number>): Promise<void>
  readUsage(date: string): Promise<Map<string, number>>

  /** Closes connections; pending calls may reject. */
  close(): Promise<void>
}

/** As long as usage is kept. */
export const USAGE_MS = 100 * 86_400_000

/** A log is kept a little longer than it can be read, so that nodes that follow it get its end. */
export const FOLLOWING_MS = 10_000
