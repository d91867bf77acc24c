// The readers of a log: one of them, and how many there are.

import { producerLost } from '../errors.ts'
import type { Batch, StreamLog, Wake } from './stream-log.ts'

/**
 * One reader: a cursor that follows a log. Live, resuming, late, slow and shared readers differ only in where the
 * cursor starts and in how often `next` is called.
 *
 * `read` turns "what is behind this cursor" into whatever the reader wants (events, encoded frames); it defaults to
 * the log's own batches.
 */
export class Subscription<B extends { last: number } = Batch> {
  readonly log: StreamLog
  readonly #read: (cursor: number) => B | undefined
  readonly #unsubscribe: () => void
  #cursor: number

  /** With a cursor ahead of the log, the subscription waits until the log has grown past it. */
  constructor(log: StreamLog, cursor: number, read: (cursor: number) => B | undefined, wake: Wake) {
    this.log = log
    this.#cursor = cursor
    this.#read = read
    this.#unsubscribe = log.subscribe(wake)
  }

  /** Last seq handed to the reader. */
  get cursor(): number {
    return this.#cursor
  }

  /** Whether the reader has got everything, `done` included. */
  get ended(): boolean {
    return this.log.done !== undefined && this.#cursor >= this.log.last
  }

  /** The next batch, or `undefined` when there is none yet, or never because the log was withdrawn. */
  next(): B | undefined {
    if (this.log.withdrawn) return undefined
    const batch = this.#read(this.#cursor)
    if (batch) this.#cursor = batch.last
    return batch
  }

  close(): void {
    this.#unsubscribe()
  }
}

/**
 * A subscription as an async iterable of batches: ends after `done`.
 *
 * @throws the signal's reason when aborted; SluiceError `producer_lost` when the log is withdrawn
 */
export async function* follow(log: StreamLog, cursor = 0, signal?: AbortSignal): AsyncGenerator<Batch, void, void> {
  let wake: (() => void) | undefined
  const subscription = new Subscription(
    log,
    cursor,
    (from) => log.read(from),
    () => wake?.(),
  )
  const onAbort = () => wake?.()
  signal?.addEventListener('abort', onAbort)
  try {
    while (true) {
      signal?.throwIfAborted()
      const batch = subscription.next()
      if (log.withdrawn) throw producerLost()
      if (batch) {
        yield batch
      } else if (subscription.ended) {
        return
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    subscription.close()
  }
}

export interface ReaderListener {
  readersChanged(): void
}

const NOBODY: readonly ReaderListener[] = []

/**
 * How many readers a stream has: the sum over all sources, such as the subscriptions of this process, the request that
 * created the stream, and other nodes that follow it.
 */
export class ReaderCount {
  #total = 0
  /** Replaced, never changed: a listener may stop listening while it is called. */
  #listeners = NOBODY

  get total(): number {
    return this.#total
  }

  /** `by` readers more. With 0, a reader was here that does not stay, such as one that polls. */
  change(by: number): void {
    this.#total += by
    for (const listener of this.#listeners) listener.readersChanged()
  }

  /** Adds one reader. The returned function removes it; a second call of it does nothing. */
  enter(): () => void {
    const set = this.addSource()
    set(1)
    return () => set(0)
  }

  /** Adds a source. The returned function sets how many readers it has; the same number again is a sign of life. */
  addSource(): (count: number) => void {
    let counted = 0
    return (count) => {
      const by = count - counted
      counted = count
      this.change(by)
    }
  }

  /** Calls `listener.readersChanged` after every change. */
  listen(listener: ReaderListener): void {
    this.#listeners = this.#listeners.concat(listener)
  }

  unlisten(listener: ReaderListener): void {
    const rest = this.#listeners.filter((each) => each !== listener)
    this.#listeners = rest.length > 0 ? rest : NOBODY
  }
}
