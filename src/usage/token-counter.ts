// Counts tokens with a real tokenizer, in a thread of its own.

import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'

/** Characters that the thread may have been sent and not counted yet. */
const MAX_WAITING = 4 * 1024 * 1024

/** The thread, with its 25 MB of tables, ends after so long without work. */
const IDLE_MS = 60_000

/** … and after so long once a gateway has closed. */
const REST_MS = 2000

/** A thread that fails is not replaced sooner. */
const RESTART_MS = 10_000

export interface TokenCounterOptions {
  maxWaiting?: number
  idleMs?: number
  restartMs?: number
  /** For tests: the source that the thread runs. */
  program?: string
}

/** A text that the thread has, even if nobody waits for its count any more. */
interface Waiting {
  characters: number
  resolve: (count: number | undefined) => void
  limit: NodeJS.Timeout
}

/**
 * The tokens of texts, by the encoding of OpenAI's current models, which is close to those of others. The thread starts
 * with the first text: loading the tokenizer takes 150 ms, and counting a long text takes long.
 */
export class TokenCounter {
  readonly #maxWaiting: number
  readonly #idleMs: number
  readonly #restartMs: number
  readonly #program: string
  readonly #waiting = new Map<number, Waiting>()
  #characters = 0
  #last = 0
  #worker: Worker | undefined
  #idle: NodeJS.Timeout | undefined
  #failedAt = -Infinity

  constructor({
    maxWaiting = MAX_WAITING,
    idleMs = IDLE_MS,
    restartMs = RESTART_MS,
    program = PROGRAM,
  }: TokenCounterOptions = {}) {
    this.#maxWaiting = maxWaiting
    this.#idleMs = idleMs
    this.#restartMs = restartMs
    this.#program = program
  }

  /** Whether the thread runs. */
  get running(): boolean {
    return this.#worker !== undefined
  }

  /**
   * Never rejects: undefined when the count is not there after `waitMs`, when the thread has failed, or when too much
   * waits for it.
   */
  count(text: string, waitMs: number): Promise<number | undefined> {
    const worker = this.#start()
    const characters = text.length
    if (!worker || this.#characters + characters > this.#maxWaiting) return Promise.resolve(undefined)
    this.#last += 1
    const id = this.#last
    this.#characters += characters
    clearTimeout(this.#idle)
    return new Promise((resolve) => {
      const limit = setTimeout(() => this.#resolve(id, undefined), waitMs)
      this.#waiting.set(id, { characters, resolve, limit })
      worker.postMessage({ id, text }, [])
    })
  }

  /** A gateway has closed: ends the thread soon, unless another one in this process needs it. */
  rest(): void {
    clearTimeout(this.#idle)
    if (this.#worker && this.#waiting.size === 0) this.#idle = setTimeout(() => this.stop(), REST_MS).unref()
  }

  /** Ends the thread at once; nobody waits for it any more. */
  stop(): void {
    const worker = this.#worker
    this.#worker = undefined
    clearTimeout(this.#idle)
    for (const id of this.#waiting.keys()) this.#resolve(id, undefined)
    this.#waiting.clear()
    this.#characters = 0
    void worker?.terminate()
  }

  #start(): Worker | undefined {
    if (this.#worker) return this.#worker
    if (performance.now() - this.#failedAt < this.#restartMs) return undefined
    try {
      const worker = new Worker(this.#program, { eval: true, workerData: TOKENIZER, ...ISOLATED })
      worker.unref()
      worker.on('message', (answer: { id: number; count: number }) => this.#answered(answer))
      worker.on('error', () => this.#failed(worker))
      worker.on('exit', () => this.#failed(worker))
      this.#worker = worker
    } catch {
      this.#failedAt = performance.now()
    }
    return this.#worker
  }

  #answered({ id, count }: { id: number; count: number }): void {
    const waiting = this.#waiting.get(id)
    if (!waiting) return
    this.#resolve(id, count)
    this.#waiting.delete(id)
    this.#characters -= waiting.characters
    if (this.#waiting.size === 0) this.#idle = setTimeout(() => this.stop(), this.#idleMs).unref()
  }

  #resolve(id: number, count: number | undefined): void {
    const waiting = this.#waiting.get(id)
    clearTimeout(waiting?.limit)
    waiting?.resolve(count)
  }

  #failed(worker: Worker): void {
    if (worker !== this.#worker) return
    this.#failedAt = performance.now()
    this.stop()
  }
}

let shared: TokenCounter | undefined

/** One thread, and its tables, for all gateways of this process. */
export function sharedTokenCounter(): TokenCounter {
  return (shared ??= new TokenCounter())
}

/** The thread gets no secrets and no flags. When it runs out of memory, it ends without the process. */
const ISOLATED = { env: {}, execArgv: [], resourceLimits: { maxOldGenerationSizeMb: 256 } }

const TOKENIZER = createRequire(import.meta.url).resolve('gpt-tokenizer/encoding/o200k_base')

/**
 * Plain JavaScript in a text, so that the thread starts from sources as from compiled files.
 *
 * The time that the tokenizer takes grows with the square of a word's length, and a text without spaces is one word. So
 * the thread cuts texts into slices, before a space if there is one, and never within a surrogate pair. A slice that
 * begins with a space has as many tokens as within the text.
 */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const { countTokens } = require(workerData)
const SLICE = 512
// Names of special tokens are text like any other.
const options = { disallowedSpecial: new Set() }

function endOf(text, from) {
  const end = from + SLICE
  if (end >= text.length) return text.length
  const space = text.lastIndexOf(' ', end)
  if (space > from + SLICE / 2) return space
  const unit = text.charCodeAt(end)
  return unit >= 0xdc00 && unit <= 0xdfff ? end - 1 : end
}

parentPort.on('message', ({ id, text }) => {
  let count = 0
  for (let from = 0; from < text.length; ) {
    const end = endOf(text, from)
    count += countTokens(text.slice(from, end), options)
    from = end
  }
  parentPort.postMessage({ id, count })
})
`
