import type { Backplane } from '../backplane/backplane.ts'
import { writePieces } from './messages.ts'

/** Of the pieces in one delivery. Inboxes have a thousand of them while nobody reads. */
const MOST_CHARACTERS = 64 * 1024

/** Messages on their way: all that one turn has for an inbox are sent together. */
export class Outbox {
  readonly #backplane: Backplane
  #waiting = new Map<string, { messages: string[]; characters: number }>()

  constructor(backplane: Backplane) {
    this.#backplane = backplane
  }

  /** Sends a message that may be lost: whoever needs its answer asks again. */
  send(inbox: string, message: string): void {
    const waiting = this.#waitingFor(inbox)
    waiting.messages.push(message)
    waiting.characters += message.length
  }

  /** Sends stored pieces, or only says that there are some, when they are too large. */
  sendPieces(inbox: string, id: string, pieces: readonly string[]): void {
    const message = writePieces(id, pieces)
    const fits = this.#waitingFor(inbox).characters + message.length <= MOST_CHARACTERS
    this.send(inbox, fits ? message : writePieces(id, []))
  }

  #waitingFor(inbox: string): { messages: string[]; characters: number } {
    if (this.#waiting.size === 0) setImmediate(() => this.#flush())
    let waiting = this.#waiting.get(inbox)
    if (!waiting) this.#waiting.set(inbox, (waiting = { messages: [], characters: 0 }))
    return waiting
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = new Map()
    for (const [inbox, { messages }] of waiting) this.#backplane.post(inbox, messages).catch(() => {})
  }
}
