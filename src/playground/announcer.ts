import { create } from './dom.ts'
import { endOfSentences } from './wording.ts'

/** No more often than this, in milliseconds. */
const PERIOD_MS = 1500
/** What has been said is of no use in the page. */
const KEPT = 3

/** Reads an answer to those who listen: whole sentences, one announcement at a time, never token by token. */
export class Announcer {
  readonly #region: HTMLElement
  #waiting = ''
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(region: HTMLElement) {
    this.#region = region
  }

  /** Says this after what is waiting. */
  say(text: string): void {
    this.#waiting += text
    this.flush()
  }

  /** Says this once it has become sentences. */
  append(text: string): void {
    this.#waiting += text
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#speak(endOfSentences(this.#waiting))
    }, PERIOD_MS)
  }

  /** Says all that is waiting. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#speak(this.#waiting.length)
  }

  #speak(length: number): void {
    const text = this.#waiting.slice(0, length).trim()
    this.#waiting = this.#waiting.slice(length)
    if (!text) return
    this.#region.append(create('p', '', text))
    while (this.#region.childElementCount > KEPT) this.#region.firstElementChild?.remove()
  }
}
