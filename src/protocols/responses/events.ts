import type { StreamEvent } from '../../stream/events.ts'
import type { StreamInfo } from '../../stream/stream-log.ts'
import { writeFirstChoice } from '../first-choice.ts'
import { continuesText, withText } from '../openai/from-anthropic.ts'
import { EventWriter, type ResponseState } from './event-writer.ts'
import type { ResponseEvent } from './items.ts'
import { NO_OUTPUT } from './output.ts'
import { readCustomTools } from './response.ts'

export function initialState(info: StreamInfo): ResponseState {
  return { info, custom: new Set(readCustomTools(info)), model: info.model, output: NO_OUTPUT }
}

/** Converts an event of a log. */
export function toResponseEvents(
  event: StreamEvent,
  state: ResponseState,
): { events: readonly ResponseEvent[]; state: ResponseState } {
  const writer = new EventWriter(state)
  writeFirstChoice(event, writer)
  return {
    events: writer.events,
    state: { ...state, model: writer.model, repeated: writer.repeated, output: writer.output },
  }
}

/** The state after more of a text that is open; undefined when another item is. */
export function growText(state: ResponseState, content: string): ResponseState | undefined {
  const { open, notes, textLength } = state.output
  if (open?.head.kind !== 'text' || (notes && !continuesText(notes))) return undefined
  const output = Object.assign({}, state.output, {
    textLength: textLength + content.length,
    open: Object.assign({}, open, { text: open.text + content }),
    notes: notes && withText(notes, content),
  })
  return Object.assign({}, state, { output })
}
