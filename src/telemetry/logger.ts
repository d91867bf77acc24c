// The log: what its lines hold, and how they are written without waiting for their reader.

import { writeSync } from 'node:fs'
import type { Config } from '../config.ts'
import { prettyLines } from './pretty-lines.ts'
import { pino, stdSerializers, type DestinationStream, type Logger } from 'pino'

export type { Logger }

/**
 * JSON lines on standard output. They hold digests of ids, addresses, counts, times and codes: never the text of a prompt
 * or of a completion, never a header, and of an upstream's error only its code, since its message may quote either. At
 * debug level they hold the messages of unexpected errors, too.
 */
export function createLogger(level: string, destination: DestinationStream = standardOutput()): Logger {
  const options = {
    level,
    base: null,
    timestamp: isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // Pino's own takes each object with a message for an error, and changes its type.
    serializers: { err: (err: unknown) => (err instanceof Error ? stdSerializers.err(err) : err) },
  }
  return pino(options, destination)
}

/** A logger of the process: JSON lines for programs, text for a person at a terminal. */
export function createStandardLogger({ logLevel, logFormat }: Pick<Config, 'logLevel' | 'logFormat'>): Logger {
  const isPretty = (logFormat ?? (process.stdout.isTTY ? 'pretty' : 'json')) === 'pretty'
  return createLogger(logLevel, isPretty ? prettyLines(standardOutput()) : standardOutput())
}

let lastTime = 0
let lastText = ''

/** Like pino's own; formats each millisecond once. */
function isoTime(): string {
  const now = Date.now()
  if (now !== lastTime) {
    lastTime = now
    lastText = `,"time":"${new Date(now).toISOString()}"`
  }
  return lastText
}

let output: LogOutput | undefined

/** One for all loggers. Not pino's own, which waits for its reader when the process ends, possibly for ever. */
function standardOutput(): LogOutput {
  if (output) return output
  // Accessing `process.stdout` makes Node set a pipe to non-blocking. In a worker thread it has no `fd`.
  const { fd }: { fd: number | undefined } = process.stdout
  const created = new LogOutput(fd ?? 1)
  process.on('exit', () => created.writeNow())
  return (output = created)
}

/** Characters that may wait for a slow reader; further lines are dropped. */
const MAX_WAITING_CHARACTERS = 8 * 1024 * 1024

/** A longer burst is written within the turn, so that a file loses no line. */
const BURST_CHARACTERS = 64 * 1024

/** Longest delay between retries; delays double up to it. */
const LONGEST_PAUSE_MS = 128

/**
 * Writes log lines, all those of one turn of the event loop with one call. It never waits for its reader: when the
 * reader is stuck or gone, lines wait here, up to a limit.
 *
 * `fd` must not block: a file, or a non-blocking pipe or socket.
 */
export class LogOutput {
  readonly #fd: number
  readonly #limit: number
  #waiting = ''
  /** Bytes taken from `#waiting` that are not written yet. */
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

  /** Calls back once everything is written; never, if the reader is stuck. */
  flush(callback: () => void): void {
    this.#onWritten.push(callback)
    this.writeNow()
    this.#next?.ref()
  }

  #resume(): void {
    this.#next = undefined
    this.writeNow()
  }

  /** Writes as much as the reader takes without waiting; used when the process ends. */
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

  /** Prepares the next bytes; false when there are none. */
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
      return 0 // The pipe is full, its reader has gone, or the disk is full: all may be temporary.
    }
  }

  /** Retries at once while the reader takes bytes. Unflushed lines do not keep the process alive. */
  #retry(taking: boolean): void {
    this.#pauseMs = taking ? 1 : Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
    if (this.#next) return
    if (taking) this.#next = setImmediate(() => this.#resume())
    else this.#next = setTimeout(() => this.#resume(), this.#pauseMs)
    if (this.#onWritten.length === 0) this.#next.unref()
  }
}
