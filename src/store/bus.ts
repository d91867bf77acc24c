import type { StreamLog } from '../stream/stream-log.ts'

/** Requests from other nodes about streams that run here. Ids of other streams are ignored. */
export interface BusHandlers {
  cancel(id: string): void
  /** A client deletes the stream. */
  forget(id: string): void
  /** Total readers on all other nodes. A repeated call with the same number means that a short-lived reader came. */
  readers(id: string, count: number): void
  /** Other nodes have given the stream another end: nothing more of it may be shown here. */
  withdraw(id: string): void
}

/** Connects nodes, so that each can follow streams on another. No method throws; only `cancel` and `forget` can reject. */
export interface Bus {
  /** Called once, before anything else. */
  serve(handlers: BusHandlers): void
  /** Copies a stream that runs here to the nodes that follow it, until its `done`. */
  publish(log: StreamLog): void
  /** A log that was published has left the memory. */
  unpublish(id: string): void
  /**
   * Feeds a copy of a stream that runs elsewhere, until its `done`. A bus that loses its connection resumes once it
   * reconnects. When the node of the stream is lost, the bus appends a `done` that says so.
   *
   * @param fail called at most once, when the copy cannot be continued
   * @returns resolves, also after a failure, once the copy has all that was stored when this was called
   */
  follow(copy: StreamLog, fail: (error: unknown) => void): Promise<void>
  /**
   * Asks the node that runs a stream to cancel it. Called only for a stream that is in the directory, has not ended and
   * does not run here. Rejects when that node cannot be reached.
   */
  cancel(id: string): Promise<void>
  /** Asks the node on which a stream was created to drop it. */
  forget(id: string): Promise<void>
  /** How many readers this node has of a copy has changed. */
  readers(id: string, count: number): void
  /** Resolves when nobody reads a stream of another node here. */
  idle(): Promise<void>
  close(): Promise<void>
}

/**
 * For a single node, whose directory knows only streams that run here or have ended here. So nothing is followed, and
 * nothing is cancelled elsewhere.
 */
export const noBus: Bus = {
  serve() {},
  publish() {},
  unpublish() {},
  async follow() {},
  async cancel() {},
  async forget() {},
  readers() {},
  async idle() {},
  async close() {},
}
