import type { Delta, Done, StreamEvent, ToolCallDelta } from '../../stream/events.ts'
import type { StreamInfo } from '../../stream/stream-log.ts'
import type { Fields } from '../../json.ts'
import { anthropicFields } from '../../wires/anthropic.ts'
import { AppendMap } from '../../wires/append-map.ts'
import type { Carried } from '../../wires/carried.ts'
import { readDetails } from '../../wires/citations.ts'
import { recordOf } from '../../wires/fields.ts'
import { openaiCallFields, openaiFields } from '../../wires/openai.ts'
import { withThoughtSignature } from '../../wires/thought-signature.ts'
import { annotationsSince, continuesText, endText, NO_NOTES, noteDelta, withText } from '../openai/from-anthropic.ts'
import { encryptRedacted, encryptSignature } from './encrypted.ts'
import { annotateItem, beginItem, continueItem, endItem, toItem, toItemId } from './items.ts'
import type { ItemContent, ItemHead, ItemStatus, ResponseEvent } from './items.ts'
import { MAX_FRAMES } from './numbering.ts'
import { callsOf, contentOf, endStatus, isCall, NO_OUTPUT, toOutput, type OutputState } from './output.ts'
import { readCustomTools, toEnd, toFailure, toKey, toResponse } from './response.ts'

/** What events depend on besides the log's event. */
export interface ResponseState {
  readonly info: StreamInfo
  /** Tools that the request calls custom: an upstream without them calls them as functions. */
  readonly custom: ReadonlySet<string>
  readonly model: string
  readonly output: OutputState
}

export function initialState(info: StreamInfo): ResponseState {
  return { info, custom: new Set(readCustomTools(info)), model: info.model, output: NO_OUTPUT }
}

/** Converts an event of a log. Only the first choice is supported, as in OpenAI's own API. */
export function toResponseEvents(
  event: StreamEvent,
  state: ResponseState,
): { events: readonly ResponseEvent[]; state: ResponseState } {
  const writer = new EventWriter(state)
  switch (event.type) {
    case 'delta':
      if ((event.index ?? 0) === 0) writer.writeDelta(event)
      break
    case 'done':
      writer.writeDone(event)
  }
  return { events: writer.events, state: { ...state, model: writer.model, output: writer.output } }
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

/** Frames that a delta keeps for its texts: beyond the others, calls begin at the end of the answer. */
const RESERVED_FRAMES = 16

class EventWriter {
  readonly events: ResponseEvent[] = []
  readonly #state: ResponseState
  model: string
  output: OutputState

  constructor(state: ResponseState) {
    this.#state = state
    this.model = state.model
    this.output = state.output
  }

  writeDelta(delta: Delta): void {
    const { content, reasoning, refusal, tool_calls = [], carried } = delta
    if (carried) this.#readModel(carried)
    const beside = carried && openaiFields(carried).delta
    for (const annotation of this.#translate(delta)) this.#annotate(annotation)
    const { redacted_thinking, signature } = anthropicFields(carried)
    if (redacted_thinking !== undefined) this.#writeHidden(encryptRedacted(redacted_thinking))
    if (reasoning) this.#writeText('reasoning', reasoning)
    if (signature) this.#sign(signature)
    for (const detail of readDetails(beside?.reasoning_details)) {
      if (detail.signature !== undefined) this.#sign(detail.signature)
      if (detail.data !== undefined) this.#writeHidden(encryptRedacted(detail.data))
    }
    if (content) this.#writeText('text', content)
    if (refusal) this.#writeText('refusal', refusal)
    if (Array.isArray(beside?.annotations)) for (const each of beside.annotations) this.#annotate(each)
    for (const call of tool_calls) this.#writeCall(call)
  }

  writeDone(done: Done): void {
    const { notes } = this.output
    if (notes) for (const annotation of annotationsSince(notes, endText(notes))) this.#annotate(annotation)
    if (done.carried) this.#readModel(done.carried)
    const end = toEnd(done)
    const isAnswer = end.status === 'completed' || end.status === 'incomplete'
    const ended = this.output
    const statusOf = (index: number) => endStatus(done, ended, index)
    // What is cut off by a failure gets no end, so that no SDK runs a call of it.
    if (isAnswer) this.#endItems(statusOf)
    const response = {
      ...toResponse(this.#state.info, end.status, this.model),
      ...end,
      output: toOutput(ended, statusOf),
    }
    this.events.push({ type: `response.${isAnswer ? end.status : 'failed'}`, response })
    if (isAnswer) return
    // The SDKs take `response.failed` for an event as any other; this one they throw.
    const { code, message, param, type } = toFailure(done)
    this.events.push({ type: 'error', code, message, param, error: { type, code, message, param } })
  }

  #endItems(statusOf: (index: number) => ItemStatus): void {
    const calls = callsOf(this.output)
    this.#endText(statusOf(this.output.open?.head.index ?? 0))
    for (const { call, text } of calls) {
      if (!call.begun) this.events.push(...beginItem(call.head))
      if (statusOf(call.head.index) === 'incomplete') continue
      if ((call.wrapped || !call.begun) && text !== '') this.events.push(continueItem(call.head, text))
      this.events.push(...endItem(call.head, { text }, 'completed'))
    }
  }

  /** One chunk of an upstream may hold thousands of calls; the frames that end an item say it all once more. */
  #hasRoom(): boolean {
    return this.events.length + RESERVED_FRAMES < MAX_FRAMES
  }

  #readModel(carried: Carried): void {
    const { model = openaiFields(carried).chunk?.model } = anthropicFields(carried)
    if (typeof model === 'string') this.model = model
  }

  /** The citations of an answer from Anthropic, as annotations of Chat Completions. */
  #translate(delta: Delta): Fields[] {
    const { notes = anthropicFields(delta.carried).message_start && NO_NOTES } = this.output
    if (!notes) return []
    const noted = noteDelta(delta, notes)
    this.output = { ...this.output, notes: noted }
    return annotationsSince(notes, noted)
  }

  #writeText(kind: 'text' | 'refusal' | 'reasoning', text: string): void {
    const open = this.output.open?.head.kind === kind ? this.output.open : this.#begin(kind)
    const textLength = this.output.textLength + (kind === 'text' ? text.length : 0)
    this.output = { ...this.output, textLength, open: { ...open, text: open.text + text } }
    this.events.push(continueItem(open.head, text))
  }

  #begin(kind: ItemHead['kind'], { silent = false } = {}) {
    this.#endText()
    const head = this.#newHead(kind)
    this.events.push(...beginItem(head, { silent }))
    const open = { head, text: '', annotations: new AppendMap<number, Fields>(), textStart: this.output.textLength }
    this.output = { ...this.output, open }
    return open
  }

  #newHead(kind: ItemHead['kind']): ItemHead {
    const index = this.output.count
    this.output = { ...this.output, count: index + 1 }
    return { kind, id: toItemId(kind, toKey(this.#state.info.id), index), index }
  }

  /** What a thought's upstream wants back ends the thought; without an open one it is a thought that is not shown. */
  #sign(signature: string): void {
    if (this.output.open?.head.kind === 'reasoning') this.#endText('completed', encryptSignature(signature))
    else this.#writeHidden(encryptSignature(signature))
  }

  #writeHidden(encrypted: string): void {
    if (!this.#hasRoom()) return
    this.#begin('reasoning', { silent: true })
    this.#endText('completed', encrypted)
  }

  #annotate(value: unknown): void {
    const { open } = this.output
    const { type, url_citation, ...flat } = recordOf(value) ?? {}
    if (!open || open.head.kind !== 'text' || type !== 'url_citation') return
    const { url, title = '', start_index, end_index } = recordOf(url_citation) ?? flat
    const at = (place: unknown) => (typeof place === 'number' ? Math.max(0, place - open.textStart) : 0)
    const annotation = { type, url, title, start_index: at(start_index), end_index: at(end_index) }
    if (this.#hasRoom()) this.events.push(annotateItem(open.head, annotation, open.annotations.size))
    const annotations = open.annotations.with(open.annotations.size, annotation)
    this.output = { ...this.output, open: { ...open, annotations } }
  }

  #writeCall(delta: ToolCallDelta): void {
    const { index, function: called, custom } = delta
    const call = this.output.calls.get(index) ?? this.#beginCall(delta)
    const text = called?.arguments ?? custom?.input ?? ''
    if (text === '') return
    const { open } = this.output
    if (open?.head.index === call.head.index)
      this.output = { ...this.output, open: { ...open, text: open.text + text } }
    else {
      this.#endText()
      this.#reopen(call.head, text)
    }
    if (call.begun && !call.wrapped && this.#hasRoom()) this.events.push(continueItem(call.head, text))
  }

  #beginCall({ index, id = '', function: called, custom, carried }: ToolCallDelta) {
    this.#endText()
    const name = called?.name ?? custom?.name ?? ''
    const wrapped = !custom && this.#state.custom.has(name)
    const head = {
      ...this.#newHead(custom || wrapped ? 'custom' : 'function'),
      call_id: signedId(id, openaiCallFields(carried)),
      name,
    }
    const call = { head, wrapped, begun: this.#hasRoom() }
    if (call.begun) this.events.push(...beginItem(head))
    this.output = { ...this.output, calls: this.output.calls.with(index, call) }
    this.#reopen(head, '')
    return call
  }

  #reopen(head: ItemHead, text: string): void {
    const { textLength: textStart } = this.output
    this.output = { ...this.output, open: { head, text, annotations: new AppendMap(), textStart } }
  }

  /** Ends the open item; a call is only put aside. */
  #endText(status: ItemStatus = 'completed', encrypted?: string): void {
    const { open, pieces, ended } = this.output
    if (!open) return
    const { head, text } = open
    this.output = { ...this.output, open: undefined }
    if (isCall(head)) {
      if (text !== '') this.output = { ...this.output, pieces: pieces.with(pieces.size, { index: head.index, text }) }
      return
    }
    const content: ItemContent = { ...contentOf(open), encrypted }
    this.events.push(...endItem(head, content, status))
    this.output = { ...this.output, ended: ended.with(head.index, toItem(head, content, status)) }
  }
}

/** Gemini wants the signature of a call back, and clients send back its id. */
function signedId(id: string, fields: Fields | undefined): string {
  const signature = recordOf(recordOf(fields?.extra_content)?.google)?.thought_signature
  return typeof signature === 'string' && signature !== '' ? withThoughtSignature(id, signature) : id
}
