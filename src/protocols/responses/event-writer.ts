import type { Delta, Done, ToolCallDelta } from '../../stream/events.ts'
import type { StreamInfo } from '../../stream/stream-log.ts'
import type { Fields } from '../../json.ts'
import { anthropicFields } from '../../wires/anthropic.ts'
import { AppendMap } from '../../wires/append-map.ts'
import type { Carried } from '../../wires/carried.ts'
import { readDetails } from '../../wires/citations.ts'
import { recordOf } from '../../wires/fields.ts'
import { openaiCallFields, openaiFields } from '../../wires/openai.ts'
import { readEncrypted } from '../../wires/thoughts.ts'
import { signedId } from '../../wires/thought-signature.ts'
import { annotationsSince, endText, NO_NOTES, noteDelta } from '../openai/from-anthropic.ts'
import { encryptRedacted, encryptSignature } from './encrypted.ts'
import { readAnnotation } from './annotations.ts'
import { addHosted } from './hosted.ts'
import { annotateItem, beginItem, continueItem, endItem, toItem, toItemId } from './items.ts'
import type { ItemContent, ItemHead, ItemStatus, ResponseEvent } from './items.ts'
import { MAX_FRAMES } from './numbering.ts'
import { callsOf, contentOf, endStatus, isCall, newPart, toOutput, type Call, type OutputState } from './output.ts'
import { toEnd, toFailure, toKey, toResponse } from './response.ts'

/** What events depend on besides the log's event. */
export interface ResponseState {
  readonly info: StreamInfo
  /** Tools that the request calls custom: an upstream without them calls them as functions. */
  readonly custom: ReadonlySet<string>
  readonly model: string
  /** What an upstream of the same API repeats of the request. */
  readonly repeated?: Fields | undefined
  readonly output: OutputState
}

/** Frames that a delta keeps for its texts: beyond the others, calls begin at the end of the answer. */
const RESERVED_FRAMES = 16

/** Converts one event of a log. */
export class EventWriter {
  readonly events: ResponseEvent[] = []
  readonly #state: ResponseState
  model: string
  repeated: Fields | undefined
  output: OutputState

  constructor(state: ResponseState) {
    this.#state = state
    this.repeated = state.repeated
    this.model = state.model
    this.output = state.output
  }

  writeDelta(delta: Delta): void {
    const { content, reasoning, refusal, tool_calls = [], carried } = delta
    if (carried) this.#readModel(carried)
    const { delta: beside, item_event } = openaiFields(carried)
    const isParted = item_event !== undefined && this.#writeItemEvent(item_event)
    for (const annotation of this.#translate(delta)) this.#annotate(annotation)
    const { redacted_thinking, signature } = anthropicFields(carried)
    if (redacted_thinking !== undefined) this.#writeHidden(encryptRedacted(redacted_thinking))
    if (reasoning && !isParted) this.#writeText('reasoning', reasoning)
    if (signature) this.#sign(signature)
    for (const encrypted of readEncrypted(beside?.reasoning_details)) this.#encrypt(encrypted)
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
      ...this.repeated,
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
    for (const { call, text, unsent } of calls) {
      if (!call.begun) this.events.push(...beginItem(call.head))
      if (statusOf(call.head.index) === 'incomplete') continue
      const rest = call.wrapped || !call.begun ? text : unsent
      if (rest !== '') this.events.push(continueItem(call.head, rest))
      this.events.push(...endItem(call.head, { text }, 'completed'))
    }
  }

  /** One chunk of an upstream may hold thousands of calls; the frames that end an item say it all once more. */
  #hasRoom(): boolean {
    return this.events.length + RESERVED_FRAMES < MAX_FRAMES
  }

  #readModel(carried: Carried): void {
    const { chunk, response } = openaiFields(carried)
    const { model = chunk?.model } = anthropicFields(carried)
    if (response) this.repeated = { ...this.repeated, ...response }
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
    const { phase } = this.output
    const isSaid = kind === 'text' || kind === 'refusal'
    const head = { ...this.#newHead(kind), ...(isSaid && phase !== undefined && { phase }) }
    if (isSaid && phase !== undefined) this.output = { ...this.output, phase: undefined }
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

  /** Events of an upstream of this API. Returns whether a thought's new part is told: elsewhere it is a paragraph. */
  #writeItemEvent(event: Fields): boolean {
    const { open } = this.output
    if (event.type === 'response.reasoning_summary_part.added' && open?.head.kind === 'reasoning') {
      const parted = this.#hasRoom() ? newPart(open) : undefined
      if (!parted) return false
      this.events.push(...parted.events)
      this.output = { ...this.output, open: parted.open }
      return true
    }
    const item = recordOf(event.item)
    if (item?.type === 'message' || item?.type === 'reasoning') {
      this.#endText()
      if (typeof item.phase === 'string') this.output = { ...this.output, phase: item.phase }
    } else if (this.#hasRoom()) this.#writeHosted(event, item)
    return false
  }

  /** An item of the upstream's own tools, in its words. */
  #writeHosted(event: Fields, item: Fields | undefined): void {
    if (item && event.type === 'response.output_item.added') this.#endText()
    const added = addHosted(event, item, this.output)
    if (!added) return
    this.events.push(added.event)
    this.output = added.output
  }

  /** As an upstream of this API wants it back. */
  #encrypt(encrypted: string): void {
    if (this.output.open?.head.kind === 'reasoning') this.#endText('completed', encrypted)
    else this.#writeHidden(encrypted)
  }

  /** A signature ends the open thought; without an open thought, it is written as a hidden one. */
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
    const annotation = open?.head.kind === 'text' ? readAnnotation(value, open.textStart) : undefined
    if (!open || !annotation) return
    if (this.#hasRoom()) this.events.push(annotateItem(open.head, annotation, open.annotations.size))
    const annotations = open.annotations.with(open.annotations.size, annotation)
    this.output = { ...this.output, open: { ...open, annotations } }
  }

  #writeCall(delta: ToolCallDelta): void {
    const { index, function: called, custom } = delta
    const call = this.output.calls.get(index) ?? this.#beginCall(delta)
    const text = called?.arguments ?? custom?.input ?? ''
    if (text === '') return
    const held = this.#holdsBack(call)
    const { open } = this.output
    if (open?.head.index === call.head.index && held === (open.held ?? false))
      this.output = { ...this.output, open: { ...open, text: open.text + text } }
    else {
      this.#endText()
      this.#reopen(call.head, text, held)
    }
    if (call.begun && !call.wrapped && !held) this.events.push(continueItem(call.head, text))
  }

  /** Once a piece has no room, it and all later pieces of the call wait for the call's end, so that order is kept. */
  #holdsBack({ head, begun, wrapped }: Call): boolean {
    const { held } = this.output
    if (!begun || wrapped) return false
    if (!held.has(head.index) && !this.#hasRoom()) this.output = { ...this.output, held: held.with(head.index, true) }
    return this.output.held.has(head.index)
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

  #reopen(head: ItemHead, text: string, held = false): void {
    const { textLength: textStart } = this.output
    this.output = { ...this.output, open: { head, text, annotations: new AppendMap(), textStart, held } }
  }

  /** Ends the open item; a call is only put aside. */
  #endText(status: ItemStatus = 'completed', encrypted?: string): void {
    const { open, pieces, ended } = this.output
    if (!open) return
    const { head, text, held = false } = open
    this.output = { ...this.output, open: undefined }
    if (isCall(head)) {
      const piece = { index: head.index, text, held }
      if (text !== '') this.output = { ...this.output, pieces: pieces.with(pieces.size, piece) }
      return
    }
    const content: ItemContent = { ...contentOf(open), encrypted }
    this.events.push(...endItem(head, content, status))
    this.output = { ...this.output, ended: ended.with(head.index, toItem(head, content, status)) }
  }
}
