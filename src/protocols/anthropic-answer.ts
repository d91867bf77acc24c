import type { StreamLog } from '../stream/stream-log.ts'
import { initialState, toMessageEvents, type MessageEvent } from './anthropic-events.ts'
import { toFields, type Fields } from './anthropic-fields.ts'

/**
 * The message that a log adds up to, as an SDK adds up a stream; an error body when it has no good end.
 * https://platform.claude.com/docs/en/api/messages (`Message`)
 */
export function renderAnswer(log: StreamLog): Fields {
  const answer = new Answer()
  let state = initialState(log.info)
  for (let batch = log.read(0); batch; batch = log.read(batch.last)) {
    for (const { event } of batch.events) {
      const step = toMessageEvents(event, state)
      state = step.state
      for (const each of step.events) answer.add(each)
    }
  }
  return answer.message
}

class Answer {
  message: Fields = {}
  readonly #content: Fields[] = []
  /** The JSON of each block that has an input, as far as it has come. */
  readonly #inputs = new Map<number, string>()

  add(event: MessageEvent): void {
    switch (event.type) {
      case 'message_start':
        this.message = { ...event.message, content: this.#content }
        return
      case 'content_block_start':
        this.#content[event.index] = { ...event.content_block }
        return
      case 'content_block_delta':
        this.#addDelta(event.index, event.delta)
        return
      case 'message_delta': {
        const { type: _, delta, usage, ...rest } = event
        Object.assign(this.message, delta, rest, { usage: { ...toFields(this.message.usage), ...usage } })
        return
      }
      case 'message_stop':
        for (const [index, json] of this.#inputs) Object.assign(this.#content[index] ?? {}, { input: parseInput(json) })
        return
      case 'error':
        this.message = { ...event }
        return
      case 'content_block_stop': // Whether a block is complete is said by the end of the message.
    }
  }

  #addDelta(index: number, { type, ...delta }: Fields): void {
    const block = this.#content[index]
    if (!block) return
    switch (type) {
      case 'input_json_delta':
        this.#inputs.set(index, `${this.#inputs.get(index) ?? ''}${String(delta.partial_json)}`)
        return
      case 'citations_delta':
        block.citations = [...(Array.isArray(block.citations) ? block.citations : []), delta.citation]
        return
      case 'text_delta':
        block.text = `${String(block.text)}${String(delta.text)}`
        return
      case 'thinking_delta':
        block.thinking = `${String(block.thinking)}${String(delta.thinking)}`
        return
      default: // `signature_delta`, `compaction_delta`: the value, whole.
        Object.assign(block, delta)
    }
  }
}

/** An input that was cut off by the limit of tokens is no JSON: it is given as the text that it is. */
function parseInput(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return json
  }
}
