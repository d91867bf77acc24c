import type { Piece } from '../stream/piece.ts'

/** Requests from other nodes about streams that run here. Ids of other streams are ignored. */
export interface BusHandlers {
  cancel(id: string): void
  /** Total readers on all other nodes. A repeated call with the same number means that a short-lived reader came. */
  readers(id: string, count: number): void
}

/** Connects nodes, so that each can follow streams on another. No method throws; only `cancel` can reject. */
export interface Bus {
  /** Called once, before anything else. */
  serve(handlers: BusHandlers): void
  /** Offers a piece of a stream that runs here to the nodes that follow it. Pieces of a stream come in order. */
  publish(id: string, piece: Piece): void
  /**
   * The pieces of a stream that runs elsewhere, after the event `from`, until the one with `done`. A bus that loses its
   * connection resumes once it reconnects. When the node of the stream is lost, the bus yields a `done` that says so.
   */
  follow(id: string, from: number): AsyncIterable<Piece>
  /**
   * Asks the node that runs a stream to cancel it. Called only for a stream that is in the directory, has not ended and
   * does not run here. Rejects when that node cannot be reached.
   */
  cancel(id: string): Promise<void>
  /** Says how many readers this node has of a stream that runs elsewhere. */
  readers(id: string, count: number): void
  close(): Promise<void>
}

/**
 * For a single node, whose directory knows only streams that run here or have ended here. So nothing is followed, and
 * nothing is cancelled elsewhere.
 */
export const noBus: Bus = {
  serve() {},
  publish() {},
  async *follow() {},
  async cancel() {},
  readers() {},
  async close() {},
}
