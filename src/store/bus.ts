import type { Piece } from '../stream/piece.ts'

/** What other nodes ask of this one, about streams that run here. An id that does not run here is ignored. */
export interface BusHandlers {
  cancel(id: string): void
  /** How many readers all other nodes have together. Called again with the same number, too: a reader was there. */
  readers(id: string, count: number): void
}

/** Connects nodes: each follows streams that run on another. No method throws, but for the promise of `cancel`. */
export interface Bus {
  /** Called once, before anything else. */
  serve(handlers: BusHandlers): void
  /** Offers a piece of a stream that runs here to the nodes that follow it. Pieces of a stream come in order. */
  publish(id: string, piece: Piece): void
  /**
   * The pieces of a stream that runs elsewhere, after the event `from`, until the one with `done`. A bus that loses its
   * connection goes on when it has another. When the node of the stream is lost, the bus yields a `done` that says so.
   */
  follow(id: string, from: number): AsyncIterable<Piece>
  /**
   * Asks the node where a stream runs to cancel it. Called for a stream that the directory knows, that has not ended
   * and does not run here: it runs elsewhere. Rejects when it cannot be asked.
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
