import type { Backplane } from '../backplane/backplane.ts'
import { writeMessage, type Message } from './messages.ts'

/** Messages on their way: all that one turn has for an inbox are sent together. */
export class Outbox {
  readonly #backplane: Backplane
  #waiting = new Map<string, string[]>()

  constructor(backplane: Backplane) {
    this.#backplane = backplane
  }

  /** Sends a message that may be lost: whoever needs its answer asks again. */
  send(inbox: string, message: Message): void {
    if (this.#waiting.size === 0) setImmediate(() => this.#flush())
    const messages = this.#waiting.get(inbox)
    if (messages) messages.push(writeMessage(message))
    else this.#waiting.set(inbox, [writeMessage(message)])
  }

  /** Rejects when the message cannot be sent. */
  deliver(inbox: string, message: Message): Promise<void> {
    return this.#backplane.post(inbox, [writeMessage(message)])
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = new Map()
    for (const [inbox, messages] of waiting) this.#backplane.post(inbox, messages).catch(() => {})
  }
}
