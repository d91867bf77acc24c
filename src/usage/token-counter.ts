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

/** A text to count. */
interface Waiting {
  text: string
  /** Nobody waits for its count any longer than this, by `performance.now()`. */
  until: number
  resolve: (count: number | undefined) => void
}

/** Characters that the thread is sent at once, and one text more. */
const BATCH_CHARACTERS = 64 * 1024

/** Between two messages, in milliseconds, so that many short answers share one. */
const PACE_MS = 20

/**
 * The tokens of texts, by the encoding of OpenAI's current models, which is close to those of others. The thread starts
 * with the first text: loading the tokenizer takes 150 ms, and counting a long text takes long.
 *
 * A message to a thread costs more than the count of a short text. So the thread gets one message at a time, and not too
 * many of them: the more streams end, the fewer messages each of them costs.
 */
export class TokenCounter {
  readonly #maxWaiting: number
  readonly #idleMs: number
  readonly #restartMs: number
  readonly #program: string
  /** Texts for the next message, in order of arrival. */
  #queue: Waiting[] = []
  /** Texts that the thread counts, even if nobody waits for them any more. */
  #counting: Waiting[] = []
  /** In all these texts. */
  #characters = 0
  #worker: Worker | undefined
  /** A message will be sent soon. */
  #isDue = false
  #sentAt = -Infinity
  /** Ends the wait that is over first, at `#limitAt`. */
  #limit: NodeJS.Timeout | undefined
  #limitAt = Infinity
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
    if (!this.#start() || this.#characters + text.length > this.#maxWaiting) return Promise.resolve(undefined)
    this.#characters += text.length
    clearTimeout(this.#idle)
    this.#idle = undefined
    return new Promise((resolve) => {
      const waiting = { text, until: performance.now() + waitMs, resolve }
      this.#queue.push(waiting)
      this.#sendSoon()
      this.#limitWait(waiting)
    })
  }

  /** A gateway has closed: ends the thread soon, unless another one in this process needs it. */
  rest(): void {
    if (this.#worker && this.#characters === 0) this.#stopAfter(REST_MS)
  }

  /** Ends the thread at once; nobody waits for it any more. */
  stop(): void {
    const worker = this.#worker
    const waiting = this.#all
    this.#worker = undefined
    this.#queue = []
    this.#counting = []
    this.#characters = 0
    clearTimeout(this.#idle)
    clearTimeout(this.#limit)
    this.#limitAt = Infinity
    for (const { resolve } of waiting) resolve(undefined)
    void worker?.terminate()
  }

  get #all(): Waiting[] {
    return [...this.#counting, ...this.#queue]
  }

  #start(): Worker | undefined {
    if (this.#worker) return this.#worker
    if (performance.now() - this.#failedAt < this.#restartMs) return undefined
    try {
      const worker = new Worker(this.#program, { eval: true, workerData: TOKENIZER, ...ISOLATED })
      worker.unref()
      worker.on('message', (counts: readonly number[]) => {
        if (worker === this.#worker) this.#answered(counts)
      })
      worker.on('error', () => this.#failed(worker))
      worker.on('exit', () => this.#failed(worker))
      this.#worker = worker
    } catch {
      this.#failedAt = performance.now()
    }
    return this.#worker
  }

  #sendSoon(): void {
    if (this.#isDue || this.#queue.length === 0 || this.#counting.length > 0) return
    this.#isDue = true
    const waitMs = this.#sentAt + PACE_MS - performance.now()
    if (waitMs > 0) setTimeout(this.#send, waitMs)
    else setImmediate(this.#send)
  }

  readonly #send = (): void => {
    this.#isDue = false
    // The counter may have been stopped meanwhile.
    if (this.#queue.length === 0 || this.#counting.length > 0) return
    this.#sentAt = performance.now()
    let characters = 0
    let count = 0
    for (const { text } of this.#queue) {
      if (characters > BATCH_CHARACTERS) break
      characters += text.length
      count += 1
    }
    this.#counting = this.#queue.splice(0, count)
    const texts = this.#counting.map(({ text }) => text)
    this.#worker?.postMessage(texts, [])
  }

  #answered(counts: readonly number[]): void {
    const counted = this.#counting
    this.#counting = []
    for (const [i, { text, resolve }] of counted.entries()) {
      this.#characters -= text.length
      resolve(counts[i])
    }
    this.#sendSoon()
    if (this.#characters === 0) this.#stopAfter(this.#idleMs)
  }

  #stopAfter(milliseconds: number): void {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.stop(), milliseconds).unref()
  }

  /** One timer for all: nearly all are given the same time, so that it is seldom set. */
  #limitWait({ until, resolve }: Waiting): void {
    const waitMs = until - performance.now()
    if (waitMs <= 0) return resolve(undefined)
    if (until >= this.#limitAt) return
    clearTimeout(this.#limit)
    this.#limitAt = until
    this.#limit = setTimeout(this.#giveUp, waitMs)
  }

  readonly #giveUp = (): void => {
    this.#limitAt = Infinity
    // For those whose wait is over already, this does nothing.
    for (const waiting of this.#all) this.#limitWait(waiting)
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

function count(text) {
  let tokens = 0
  for (let from = 0; from < text.length; ) {
    const end = endOf(text, from)
    tokens += countTokens(text.slice(from, end), options)
    from = end
  }
  return tokens
}

parentPort.on('message', (texts) => parentPort.postMessage(texts.map(count)))
`
