import { encodeEvent, encodeJson } from '../../sse/encode.ts'
import { isPlainText } from '../../stream/events.ts'
import { readInSlices } from '../../stream/event-loop.ts'
import type { Batch, StreamInfo, StreamLog } from '../../stream/stream-log.ts'
import type { Fields } from '../../json.ts'
import type { Encoded, Encoder } from '../protocol.ts'
import type { ResponseState } from './event-writer.ts'
import { growText, initialState, toResponseEvents } from './events.ts'
import { numberFrames } from './numbering.ts'
import { endStatus, toOutput } from './output.ts'
import { toEnd, toResponse } from './response.ts'
import { continueItem, type ResponseEvent } from './items.ts'

interface Around {
  readonly before: string
  readonly after: string
}

/** The JSON of a delta, less its text and its number. */
function aroundText({ output: { open } }: ResponseState): Around {
  const json = open ? encodeJson({ ...continueItem(open.head, ''), sequence_number: 0 }) : ''
  const at = json.lastIndexOf('""')
  return { before: json.slice(0, at), after: json.slice(at + 2, -2) }
}

/** The frames of a stream: named as the type in their data, and with their sequence number as their id. */
class ResponseEncoder implements Encoder {
  readonly #state: ResponseState
  /** The seq of the last event. */
  readonly #at: number
  /** JSON before and after the text of a delta; valid while this text is open. */
  readonly #around: Around | undefined

  constructor(state: ResponseState, at = 0, around?: Around) {
    this.#state = state
    this.#at = at
    this.#around = around
  }

  encode({ events: batch }: Batch): Encoded {
    const [only] = batch
    // Most batches take this path: it costs a tenth.
    if (batch.length === 1 && only && isPlainText(only.event) && only.event.content !== '') {
      const state = growText(this.#state, only.event.content)
      if (state) return this.#encodeText(only.seq, only.event.content, state)
    }
    return this.#encodeAll(batch)
  }

  #encodeText(seq: number, content: string, state: ResponseState): Encoded {
    const around = this.#around ?? aroundText(state)
    const [number = 0] = numberFrames(1, seq, seq)
    const data = `${around.before}${encodeJson(content)}${around.after}${number}}`
    const text = `event: response.output_text.delta\ndata: ${data}\nid: ${number}\n\n`
    return { text, frames: 1, next: new ResponseEncoder(state, seq, around) }
  }

  #encodeAll(batch: Batch['events']): Encoded {
    let state = this.#state
    let at = this.#at
    let text = ''
    let frames = 0
    for (const { seq, event } of batch) {
      const step = toResponseEvents(event, state)
      const numbers = numberFrames(step.events.length, at + 1, seq)
      for (const [i, each] of step.events.entries()) {
        text += encodeFrame(each, numbers[i] ?? 0)
        frames += 1
      }
      state = step.state
      at = seq
    }
    return { text, frames, next: new ResponseEncoder(state, at) }
  }

  skip({ events, last }: Batch): Encoder {
    let state = this.#state
    for (const { event } of events) state = toResponseEvents(event, state).state
    return new ResponseEncoder(state, last)
  }
}

export function createEncoder(info: StreamInfo): Encoder {
  return new ResponseEncoder(initialState(info))
}

function encodeFrame(event: ResponseEvent, number: number): string {
  return encodeEvent({ id: number, event: event.type, data: { ...event, sequence_number: number } })
}

/** What a stream begins with, before its first token. */
export function encodeOpening(info: StreamInfo, seen = 0): string {
  const response = toResponse(info, 'in_progress')
  return ['response.created', 'response.in_progress']
    .map((type, i) => (i + 1 > seen ? encodeFrame({ type, response }, i + 1) : ''))
    .join('')
}

/** The response as it is now. */
export async function renderResponse(log: StreamLog): Promise<Fields> {
  const { done, info } = log
  let state = initialState(info)
  await readInSlices(log, log.last, ({ events }) => {
    for (const { event } of events) state = toResponseEvents(event, state).state
  })
  if (!done) {
    const response = toResponse(info, log.last === 0 && !log.answer ? 'queued' : 'in_progress', state.model)
    return { ...response, ...state.repeated, output: toOutput(state.output, () => 'in_progress') }
  }
  const end = toEnd(done)
  const output = toOutput(state.output, (index) => endStatus(done, state.output, index))
  return { ...toResponse(info, end.status, state.model), ...state.repeated, ...end, output }
}
