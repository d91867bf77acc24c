import { writeSync } from 'node:fs'

/** What may wait for a reader that does not read; lines beyond are dropped. */
const MAX_WAITING_CHARACTERS = 8 * 1024 * 1024

/** What is written before the turn of the event loop is over, so that a burst of lines to a file drops none. */
const BURST_CHARACTERS = 64 * 1024

/** Until a reader that took nothing is tried again: twice as long each time, up to this. */
const LONGEST_PAUSE_MS = 128

/**
 * Writes the lines of a log, those of one turn of the event loop with one call. It never waits for its reader: when the
 * reader is stuck or gone, lines wait here, up to a limit.
 *
 * Of `fd` it wants writes that do not block: a file's, or a pipe's or socket's that is non-blocking.
 */
export class LogOutput {
  readonly #fd: number
  readonly #limit: number
  #waiting = ''
  /** What has been taken from `#waiting` and was not all written. */
  #unsent = Buffer.alloc(0)
  #dropped = 0
  #pauseMs = 1
  #next: NodeJS.Immediate | NodeJS.Timeout | undefined
  #onWritten: (() => void)[] = []

  constructor(fd: number, { limit = MAX_WAITING_CHARACTERS } = {}) {
    this.#fd = fd
    this.#limit = limit
  }

  write(line: string): void {
    if (this.#waiting.length + this.#unsent.length + line.length > this.#limit) {
      this.#dropped += 1
      return
    }
    this.#waiting += line
    if (this.#waiting.length > BURST_CHARACTERS && this.#unsent.length === 0) this.writeNow()
    else this.#next ??= setImmediate(() => this.#resume())
  }

  /** Calls back when all that was logged is written, which may be never. */
  flush(callback: () => void): void {
    this.#onWritten.push(callback)
    this.writeNow()
    this.#next?.ref()
  }

  #resume(): void {
    this.#next = undefined
    this.writeNow()
  }

  /** Writes as much as the reader takes at once: all that can be done when the process ends. */
  writeNow(): void {
    while (this.#take()) {
      const written = this.#tryWrite()
      this.#unsent = this.#unsent.subarray(written)
      if (this.#unsent.length > 0) return this.#retry(written > 0)
    }
    const called = this.#onWritten
    this.#onWritten = []
    for (const callback of called) callback()
  }

  /** The next to write, if there is anything. */
  #take(): boolean {
    if (this.#unsent.length > 0) return true
    if (this.#dropped > 0) this.#waiting += this.#reportDropped()
    this.#unsent = Buffer.from(this.#waiting)
    this.#waiting = ''
    return this.#unsent.length > 0
  }

  #reportDropped(): string {
    const lines = this.#dropped
    this.#dropped = 0
    return `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), lines, msg: 'log lines dropped' })}\n`
  }

  #tryWrite(): number {
    try {
      return writeSync(this.#fd, this.#unsent)
    } catch {
      return 0 // It is full, its reader has gone, or the disk is full: each may pass.
    }
  }

  /** At once as long as the reader takes something. Lines that nobody waits for do not keep the process alive. */
  #retry(taking: boolean): void {
    this.#pauseMs = taking ? 1 : Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
    if (this.#next) return
    if (taking) this.#next = setImmediate(() => this.#resume())
    else this.#next = setTimeout(() => this.#resume(), this.#pauseMs)
    if (this.#onWritten.length === 0) this.#next.unref()
  }
}
