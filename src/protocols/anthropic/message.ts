import { parseJson, recordOrEmpty, type Fields } from '../../json.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import { readInSlices } from '../../stream/event-loop.ts'
import { initialState, toMessageEvents, type MessageEvent } from './events.ts'

/**
 * The complete message of a log, accumulated as an SDK accumulates a stream; an error body when the stream failed.
 * https://platform.claude.com/docs/en/api/messages (`Message`)
 */
export async function renderWhole(log: StreamLog): Promise<Fields> {
  const answer = new Answer()
  let state = initialState(log.info)
  await readInSlices(log, log.last, ({ events }) => {
    for (const { event } of events) {
      const step = toMessageEvents(event, state)
      state = step.state
      for (const each of step.events) answer.add(each)
    }
  })
  return answer.message
}

class Answer {
  message: Fields = {}
  readonly #blocks: Block[] = []

  add(event: MessageEvent): void {
    switch (event.type) {
      case 'message_start':
        this.message = event.message
        return
      case 'content_block_start':
        this.#blocks.push(new Block(event.content_block))
        return
      case 'content_block_delta':
        this.#blocks[event.index]?.add(event.delta)
        return
      case 'message_delta': {
        const { type: _, delta, usage, ...rest } = event
        this.message = { ...this.message, ...delta, ...rest, usage: { ...recordOrEmpty(this.message.usage), ...usage } }
        return
      }
      case 'message_stop':
        this.message = { ...this.message, content: this.#blocks.map((block) => block.toFields()) }
        return
      case 'error':
        this.message = { ...event }
        return
      case 'content_block_stop': // The end of the message shows whether the blocks are complete.
    }
  }
}

/** A content block that grows in place; the upstream chooses its field names. */
class Block {
  readonly #fields: Map<string, unknown>
  /** The JSON of its input so far. */
  #input: string | undefined
  #citations: unknown[] | undefined

  constructor(start: Fields) {
    this.#fields = new Map(Object.entries(start))
  }

  add({ type, ...delta }: Fields): void {
    switch (type) {
      case 'input_json_delta':
        this.#input = `${this.#input ?? ''}${String(delta.partial_json)}`
        return
      case 'citations_delta':
        this.#addCitation(delta.citation)
        return
      case 'text_delta':
        this.#addText('text', delta.text)
        return
      case 'thinking_delta':
        this.#addText('thinking', delta.thinking)
        return
      default: // `signature_delta`, `compaction_delta`: complete values.
        for (const [name, value] of Object.entries(delta)) this.#fields.set(name, value)
    }
  }

  toFields(): Fields {
    return {
      ...Object.fromEntries(this.#fields),
      ...(this.#citations && { citations: this.#citations }),
      ...(this.#input !== undefined && { input: parseInput(this.#input) }),
    }
  }

  #addText(name: string, text: unknown): void {
    this.#fields.set(name, `${String(this.#fields.get(name))}${String(text)}`)
  }

  #addCitation(citation: unknown): void {
    if (!this.#citations) {
      const first = this.#fields.get('citations')
      this.#citations = Array.isArray(first) ? [...first] : []
    }
    this.#citations.push(citation)
  }
}

/** Returns truncated input, or input that exceeds `JSON_LIMITS`, as text. */
function parseInput(json: string): unknown {
  try {
    return parseJson(json)
  } catch {
    return json
  }
}
