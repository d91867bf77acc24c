// One line of JSON for each charge, for billing.

import { write } from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { toCost } from '../cost.ts'
import { isRecord } from '../json.ts'
import { streamDigest } from '../telemetry/redact.ts'
import type { Charge } from './accounts.ts'

const writeTo = promisify(write)

const STANDARD_OUTPUT = '-'
const STDOUT_FD = 1

/** Characters that may wait while the disk is full or the reader of a pipe is slow. Further lines are dropped. */
const MAX_WAITING = 8 * 1024 * 1024

const RETRY_MS = 500
const FULL_PIPE_MS = 10

export interface UsageLogObserver {
  /** Lines were lost. */
  dropped(lines: number): void
  /** Writing has begun to fail, or works again when `error` is undefined. */
  changed(error: unknown): void
}

/**
 * Appends lines to a file, or to standard output. All lines of one turn of the event loop are written together. The
 * file is opened for each write, so that it may be renamed at any time. Lines that cannot be written wait, up to a
 * limit: after a failed write, the next goes on at the same byte.
 */
export class UsageLog {
  readonly #path: string
  readonly #observer: UsageLogObserver
  readonly #limit: number
  #waiting: string[] = []
  #characters = 0
  /** Bytes of `#waiting` that are not written yet. */
  #rest = Buffer.alloc(0)
  #writing: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #failing = false

  constructor(path: string, observer: UsageLogObserver, { limit = MAX_WAITING } = {}) {
    this.#path = path
    this.#observer = observer
    this.#limit = limit
  }

  add(charge: Charge): void {
    const line = toLine(charge)
    if (this.#characters + this.#rest.length + line.length > this.#limit) return this.#observer.dropped(1)
    this.#waiting.push(line)
    this.#characters += line.length
    if (!this.#writing && !this.#retry) void this.#start()
  }

  /** Tries once more to write the waiting lines; the rest is lost. */
  async close(): Promise<void> {
    while (this.#writing) await this.#writing
    if (this.#retry) {
      clearTimeout(this.#retry)
      this.#retry = undefined
      await this.#start()
      clearTimeout(this.#retry)
    }
    const lost = this.#waiting.length + (this.#rest.length > 0 ? this.#rest.toString().split('\n').length - 1 : 0)
    if (lost > 0) this.#observer.dropped(lost)
  }

  get #hasMore(): boolean {
    return this.#rest.length > 0 || this.#waiting.length > 0
  }

  #start(): Promise<void> {
    return (this.#writing = this.#write().finally(() => {
      this.#writing = undefined
      if (this.#hasMore && !this.#retry) void this.#start()
    }))
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    // The other lines of this turn.
    await new Promise((resolve) => setImmediate(resolve))
    try {
      while (this.#hasMore) await this.#writeBatch()
      this.#report(undefined)
    } catch (error) {
      const isFull = isRecord(error) && error.code === 'EAGAIN'
      if (!isFull) this.#report(error)
      const retry = () => {
        this.#retry = undefined
        void this.#start()
      }
      this.#retry = setTimeout(retry, isFull ? FULL_PIPE_MS : RETRY_MS).unref()
    }
  }

  async #writeBatch(): Promise<void> {
    const file = this.#path === STANDARD_OUTPUT ? undefined : await open(this.#path, 'a', 0o600)
    try {
      if (this.#rest.length === 0) {
        this.#rest = Buffer.from(this.#waiting.join(''))
        this.#waiting = []
        this.#characters = 0
      }
      while (this.#rest.length > 0) {
        const { bytesWritten } = await writeTo(file?.fd ?? STDOUT_FD, this.#rest)
        this.#rest = this.#rest.subarray(bytesWritten)
      }
    } finally {
      await file?.close()
    }
  }

  #report(error: unknown): void {
    const failing = error !== undefined
    if (failing === this.#failing) return
    this.#failing = failing
    this.#observer.changed(error)
  }
}

/** @throws when lines cannot be appended to the file */
export async function checkUsageLog(path: string): Promise<void> {
  if (path !== STANDARD_OUTPUT) await (await open(path, 'a', 0o600)).close()
}

/** Fields that are undefined are left out. */
function toLine(charge: Charge): string {
  const { caller, nanos, streamId } = charge
  const line = {
    time: new Date(charge.time).toISOString(),
    caller: caller.principal.name,
    user: caller.user,
    kind: charge.kind,
    stream: streamId === undefined ? undefined : streamDigest(streamId),
    protocol: charge.protocol,
    provider: charge.provider,
    model: charge.model,
    finish_reason: charge.finish_reason,
    prompt_tokens: charge.prompt_tokens,
    completion_tokens: charge.completion_tokens,
    estimated: charge.estimated || undefined,
    duration_ms: charge.duration_ms,
    cost: nanos === undefined ? undefined : toCost(nanos),
  }
  return `${JSON.stringify(line)}\n`
}
