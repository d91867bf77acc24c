import type { Done, StreamEvent } from '../stream/events.ts'

/**
 * Most deltas, and most characters in them, that are held back without a token. Beyond that the upstream uses a format
 * of its own: its deltas are passed on, and the limits of the log apply.
 */
const MAX_HELD = 16
const MAX_HELD_CHARACTERS = 64 * 1024

/** Events of an attempt before its first token. Held back, so that a failed attempt leaves nothing in the log. */
export class Opening {
  readonly events: StreamEvent[] = []
  /** Size of the events. */
  #characters = 0
  #tokens = false
  #done: Done | undefined

  add(events: readonly StreamEvent[]): void {
    for (const event of events) {
      this.events.push(event)
      if (event.type === 'done') this.#done = event
      else this.#tokens ||= isToken(event)
    }
    if (!this.#tokens && !this.#done) for (const event of events) this.#characters += sizeOf(event)
  }

  get hasToken(): boolean {
    return this.#tokens
  }

  get done(): Done | undefined {
    return this.#done
  }

  /** A token has come, or the end, or too much without either. */
  get complete(): boolean {
    return (
      this.#tokens ||
      this.#done !== undefined ||
      this.events.length >= MAX_HELD ||
      this.#characters > MAX_HELD_CHARACTERS
    )
  }
}

/** In characters of JSON. An event without a JSON form counts as infinitely large: the log refuses it. */
function sizeOf(event: StreamEvent): number {
  try {
    return JSON.stringify(event).length
  } catch {
    return Infinity
  }
}

function isToken(event: StreamEvent): boolean {
  if (event.type === 'done') return false
  const { content, reasoning, refusal, tool_calls } = event
  return Boolean(content) || Boolean(reasoning) || Boolean(refusal) || Boolean(tool_calls?.length)
}
