import { recordOrEmpty, setField, type Fields } from '../../json.ts'
import type { Delta, Done, SequencedEvent, ToolCallDelta } from '../../stream/events.ts'
import type { StreamInfo } from '../../stream/stream-log.ts'
import { anthropicFields } from '../../wires/anthropic.ts'
import type { Carried } from '../../wires/carried.ts'
import { isLegacyCall, isRepeated, openaiCallFields, openaiFields, REASONING_FIELDS } from '../../wires/openai.ts'
import { AppendMap } from '../../wires/append-map.ts'
import { reportedUsage } from '../reported-usage.ts'
import { fieldsOf, NO_NOTES, noteDelta, type AnthropicNotes } from './from-anthropic.ts'

/** `chat.completion.chunk`: https://platform.openai.com/docs/api-reference/chat-streaming/streaming */
export interface Chunk extends ChunkHead {
  choices: ChunkChoice[]
}

/** The fields that every chunk begins with. */
export interface ChunkHead {
  id: string
  object: 'chat.completion.chunk'
  created: number
  model: string
  [field: string]: unknown
}

export interface ChunkChoice {
  index: number
  delta: Record<string, unknown>
  finish_reason: string | null
  [field: string]: unknown
}

/** The output for one event: chunks, and at the end possibly an error in place of the last chunk. */
export interface EventChunks {
  seq: number
  chunks: Chunk[]
  done?: Done
}

/** Encoder state: everything that a chunk depends on besides its event. */
export interface ChunkState {
  readonly head: ChunkHead
  /** Choices whose role has been sent, and choices that have finished. */
  readonly begun: AppendMap<number, true>
  readonly finished: AppendMap<number, true>
  readonly includeUsage: boolean
  /** The names under which reasoning is sent: those of the upstream if it speaks this wire. */
  readonly reasoningFields: readonly string[]
  /** For an answer from Anthropic. */
  readonly notes?: AnthropicNotes
}

export function initialState({ id, created, model, labels }: StreamInfo): ChunkState {
  return {
    head: { id: `chatcmpl-${id}`, object: 'chat.completion.chunk', created: Math.floor(created / 1000), model },
    begun: new AppendMap(),
    finished: new AppendMap(),
    includeUsage: labels?.include_usage === 'true',
    reasoningFields: [REASONING_FIELDS[0]],
  }
}

/** Converts events to chunks. */
export function toChunks(
  events: readonly SequencedEvent[],
  state: ChunkState,
): { eventChunks: EventChunks[]; state: ChunkState } {
  const eventChunks: EventChunks[] = []
  for (const { seq, event } of events) {
    const writer = new ChunkWriter(state)
    switch (event.type) {
      case 'delta':
        writer.writeDelta(event)
        eventChunks.push({ seq, chunks: writer.chunks })
        break
      case 'done':
        writer.writeDone(event)
        eventChunks.push({ seq, chunks: writer.chunks, done: event })
    }
    state = writer.state
  }
  return { eventChunks, state }
}

/** Whether a stream with this end is a complete answer. */
export function isAnswer({ finish_reason }: Done): boolean {
  return finish_reason !== 'error' && finish_reason !== 'cancelled'
}

class ChunkWriter {
  readonly chunks: Chunk[] = []
  state: ChunkState

  constructor(state: ChunkState) {
    this.state = state
  }

  writeDelta(event: Delta): void {
    const { index = 0, role, content, reasoning, refusal, tool_calls, carried } = event
    const { head, once, choice, rest, reasoningFields } = toPlaces(carried)
    this.#note(event)
    if (head) this.state = { ...this.state, head: { ...this.state.head, ...head } }
    if (reasoningFields) this.state = { ...this.state, reasoningFields }
    const delta: Record<string, unknown> = {}
    // The first chunk of a choice has its role. Upstreams of this wire often send it alone or with a null content.
    if (!this.state.begun.has(index) && (role || content || reasoning || refusal || tool_calls || choice || rest)) {
      this.state = { ...this.state, begun: this.state.begun.with(index, true) }
      Object.assign(delta, { role: 'assistant', content: tool_calls && !content ? null : '' })
    }
    if (!Array.isArray(rest?.content)) {
      if (content) delta.content = content
      if (reasoning) for (const name of this.state.reasoningFields) delta[name] = reasoning
    }
    if (refusal) delta.refusal = refusal
    if (tool_calls) Object.assign(delta, toCalls(tool_calls))
    if (rest || Object.keys(delta).length > 0 || choice) this.#push(index, { ...delta, ...rest }, choice, once)
    else if (once) this.chunks.push({ ...this.#head(), ...once, choices: [] })
    if (choice?.finish_reason !== undefined)
      this.state = { ...this.state, finished: this.state.finished.with(index, true) }
  }

  writeDone(done: Done): void {
    const { head } = toPlaces(done.carried)
    if (head) this.state = { ...this.state, head: { ...this.state.head, ...head } }
    const fields = this.state.notes ? fieldsOf(this.state.notes) : {}
    if (Object.keys(fields).length > 0) this.#push(0, fields)
    if (isAnswer(done) && !this.state.begun.has(0)) this.writeDelta({ type: 'delta', role: 'assistant' })
    // An upstream of this wire may have a word of its own for it, or may have said it before an error. Nobody speaks
    // for other choices.
    const word = openaiFields(done.carried).choice?.finish_reason
    const reason = word ?? (isAnswer(done) ? done.finish_reason : undefined)
    if (reason !== undefined && !this.state.finished.has(0)) this.#push(0, {}, { finish_reason: reason })
    const usage = reportedUsage(done)
    if (this.state.includeUsage && usage) this.chunks.push({ ...this.#head(), choices: [], usage })
  }

  /** Notes the fields of an answer from Anthropic for which both wires have a form. */
  #note(event: Delta): void {
    const { notes = anthropicFields(event.carried).message_start && NO_NOTES } = this.state
    if (notes && !event.index) this.state = { ...this.state, notes: noteDelta(event, notes) }
  }

  #push(index: number, delta: Record<string, unknown>, choice?: Record<string, unknown>, once?: object): void {
    this.chunks.push({ ...this.#head(), ...once, choices: [{ index, delta, finish_reason: null, ...choice }] })
  }

  #head(): ChunkHead {
    return this.state.includeUsage ? { ...this.state.head, usage: null } : this.state.head
  }
}

/** The calls of a delta. A call that the upstream sent in the form before tools, is sent in this form. */
function toCalls(calls: readonly ToolCallDelta[]): Fields {
  const legacy = calls.find(({ carried }) => isLegacyCall(carried))
  if (legacy) return { function_call: legacy.function }
  return {
    tool_calls: calls.map(({ carried, function: called, ...call }) => {
      const { function: ofFunction, ...fields } = openaiCallFields(carried) ?? {}
      return { ...call, ...(called && { function: { ...called, ...recordOrEmpty(ofFunction) } }), ...fields }
    }),
  }
}

interface Places {
  /** Fields of this and every later chunk. */
  head?: Fields
  /** Fields of this chunk only. */
  once?: Fields
  choice?: Fields
  rest?: Fields
  reasoningFields?: readonly string[]
}

const NOTHING: Places = {}

/** The places of carried OpenAI fields. From Anthropic, only the id and the model are used. */
function toPlaces(carried: Carried | undefined): Places {
  if (!carried) return NOTHING
  const { chunk = {}, choice, delta: rest, reasoning_fields: reasoningFields } = openaiFields(carried)
  const { id, model } = anthropicFields(carried)
  const places: Places = {
    ...(choice && { choice: besideDelta(choice) }),
    ...(rest && { rest }),
    ...(reasoningFields && { reasoningFields }),
  }
  if (id !== undefined) (places.head ??= {}).id = id
  if (model !== undefined) (places.head ??= {}).model = model
  for (const [name, value] of Object.entries(chunk))
    setField(isRepeated(name) ? (places.head ??= {}) : (places.once ??= {}), name, value)
  return places
}

/** A module may carry any field, but must not replace modelled ones. */
function besideDelta({ index: _index, delta: _delta, ...fields }: Fields): Fields {
  return fields
}
