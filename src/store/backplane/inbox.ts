/** Messages that wait in an inbox; beyond them, the oldest are lost. */
const MOST_WAITING = 10_000

/** What waits in an inbox. */
export interface Waiting {
  readonly messages: readonly string[]
  /** Messages before these were lost. */
  readonly gap: boolean
}

/** A bounded queue of messages for one reader. */
export class Inbox {
  #messages: string[] = []
  #gap = false

  get isEmpty(): boolean {
    return this.#messages.length === 0 && !this.#gap
  }

  add({ messages, gap }: Waiting): void {
    this.#messages.push(...messages)
    this.#gap ||= gap
    const surplus = this.#messages.length - MOST_WAITING
    if (surplus <= 0) return
    this.#messages.splice(0, surplus)
    this.#gap = true
  }

  take(): Waiting {
    const waiting = { messages: this.#messages, gap: this.#gap }
    this.#messages = []
    this.#gap = false
    return waiting
  }
}
