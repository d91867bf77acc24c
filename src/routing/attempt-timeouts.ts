import { SluiceError } from '../errors.ts'
import type { Timeouts } from './target.ts'

/**
 * The timeouts of one attempt: time to first token, each silence after that, and total time.
 *
 * Uses one timer. When it fires, it checks how long the silence has been and re-arms for the rest, so a token costs
 * only an assignment.
 */
export class AttemptTimeouts {
  readonly #timeouts: Timeouts
  readonly #onTimeout: (error: SluiceError) => void
  readonly #startedAt = performance.now()
  #answered = false
  #askedAt = this.#startedAt
  #heardAt = this.#startedAt
  #timer: NodeJS.Timeout | undefined

  /** @param onTimeout called once, with the error to report to the reader */
  constructor(timeouts: Timeouts, onTimeout: (error: SluiceError) => void) {
    this.#timeouts = timeouts
    this.#onTimeout = onTimeout
    // Never at once, however long it took to get here: whoever would be told does not have this object yet.
    this.#wait(Math.min(timeouts.firstTokenTimeoutMs, timeouts.totalTimeoutMs ?? Infinity))
  }

  /** A part of the request was sent at time `at`: the first token can only come after that. */
  asked(at: number): void {
    this.#askedAt = at
  }

  /** The upstream sent something at time `at` (`performance.now()`). */
  heard(at: number): void {
    this.#heardAt = at
  }

  /** The first token came. */
  answered(): void {
    this.#answered = true
    this.#arm()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #wait(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#arm(), milliseconds)
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const { firstTokenTimeoutMs, idleTimeoutMs, totalTimeoutMs = Infinity } = this.#timeouts
    const now = performance.now()
    const silent = this.#answered ? idleTimeoutMs - (now - this.#heardAt) : firstTokenTimeoutMs - (now - this.#askedAt)
    const total = totalTimeoutMs - (now - this.#startedAt)
    if (total <= 0) this.#onTimeout(this.#tooLong(totalTimeoutMs))
    else if (silent > 0) this.#wait(Math.min(silent, total))
    else if (this.#answered) this.#onTimeout(timeout(`The provider was silent for ${idleTimeoutMs} ms.`))
    else this.#onTimeout(timeout(`The provider sent no token within ${firstTokenTimeoutMs} ms.`))
  }

  #tooLong(limitMs: number): SluiceError {
    const message = `The answer took longer than ${limitMs} ms.`
    return this.#answered ? new AnswerTooLongError(message) : timeout(message)
  }
}

/** `totalTimeoutMs` ended an answer in progress; not the target's fault. */
export class AnswerTooLongError extends SluiceError {
  constructor(message: string) {
    super('upstream_timeout', message)
  }
}

function timeout(message: string): SluiceError {
  return new SluiceError('upstream_timeout', message)
}
