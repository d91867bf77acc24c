import { parseJson, recordOrEmpty, type Fields } from '../../json.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import { readInSlices } from '../../stream/event-loop.ts'
import { ContentBlocks } from '../../wires/anthropic-content.ts'
import { initialState, toMessageEvents, type MessageEvent } from './events.ts'

/**
 * The complete message of a log, accumulated as an SDK accumulates a stream; an error body when the stream failed.
 * https://platform.claude.com/docs/en/api/messages (`Message`)
 */
export async function renderWhole(log: StreamLog): Promise<Fields> {
  const answer = new Answer()
  let state = initialState(log.info, { inOrder: false })
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
  readonly #blocks = new ContentBlocks()

  add(event: MessageEvent): void {
    switch (event.type) {
      case 'message_start':
        this.message = event.message
        return
      case 'content_block_start':
        this.#blocks.start(event.content_block)
        return
      case 'content_block_delta':
        this.#blocks.add(event.index, event.delta)
        return
      case 'message_delta': {
        const { type: _, delta, usage, ...rest } = event
        this.message = { ...this.message, ...delta, ...rest, usage: { ...recordOrEmpty(this.message.usage), ...usage } }
        return
      }
      case 'message_stop':
        this.message = { ...this.message, content: this.#blocks.toFields(parseInput) }
        return
      case 'error':
        this.message = { ...event }
        return
      case 'content_block_stop': // The end of the message shows whether the blocks are complete.
    }
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
