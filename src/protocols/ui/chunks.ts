import { failureOf } from '../../errors.ts'
import { recordOrEmpty, type Fields } from '../../json.ts'
import type { Delta, Done, StreamEvent } from '../../stream/events.ts'
import type { StreamInfo } from '../../stream/stream-log.ts'
import { AppendMap } from '../../wires/append-map.ts'
import { endBlocks, NO_BLOCKS, toBlockEvents, type BlockEvent, type BlockState } from '../../wires/block-events.ts'
import { openaiFields } from '../../wires/openai.ts'
import { writeFirstChoice } from '../first-choice.ts'
import { callOf, endCall, growCall, isWhole, resultChunk, startChunk, type OpenCall } from './calls.ts'
import { toSource, sourcesOfChunk, type Source } from './sources.ts'
import { toMetadata } from './usage.ts'

/** A chunk of a UI message stream: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol */
export interface Chunk {
  type: string
  [field: string]: unknown
}

/** A text or a reasoning that may still grow. Its id is the index of its block. */
interface OpenPart {
  readonly index: number
  readonly type: 'text' | 'reasoning'
}

/** Encoder state: everything that chunks depend on besides the log's event. Immutable. */
export interface ChunkState {
  readonly info: StreamInfo
  readonly started: boolean
  readonly blocks: BlockState
  /** The oldest comes first. */
  readonly parts: readonly OpenPart[]
  readonly calls: readonly OpenCall[]
  /** Calls whose input has been sent. */
  readonly ended: AppendMap<string, true>
  /** Addresses and titles of the sources that have been sent. */
  readonly sources: AppendMap<string, true>
}

export function initialState(info: StreamInfo): ChunkState {
  return {
    info,
    started: false,
    blocks: NO_BLOCKS,
    parts: [],
    calls: [],
    ended: new AppendMap(),
    sources: new AppendMap(),
  }
}

/** Converts an event to chunks. */
export function toChunks(event: StreamEvent, state: ChunkState): { chunks: readonly Chunk[]; state: ChunkState } {
  const writer = new ChunkWriter(state)
  writeFirstChoice(event, writer)
  return writer
}

/** The id of the message: that of the answer which a client continues with the results of its tools. */
function messageId({ id, labels }: StreamInfo): string {
  return labels?.message_id ?? `msg_${id}`
}

/**
 * Upstreams choose how many parts and calls are open at once; beyond, the oldest ends, though more of it may come. Far
 * above what models do, and small enough that each delta is found among them in microseconds.
 */
const MAX_OPEN = 1024

class ChunkWriter {
  readonly chunks: Chunk[] = []
  state: ChunkState

  constructor(state: ChunkState) {
    this.state = state
  }

  writeDelta(delta: Delta): void {
    this.#start()
    const { events, state: blocks } = toBlockEvents(delta, this.state.blocks)
    this.state = { ...this.state, blocks }
    this.#writeBlocks(events)
    for (const source of sourcesOfChunk(openaiFields(delta.carried).chunk)) this.#writeSource(source)
  }

  /** A UI reads until `finish`, which clients that resume by themselves wait for, too. */
  writeDone(done: Done): void {
    switch (done.finish_reason) {
      case 'error':
        // Open parts stay open: the client must not take them for complete, or run a call.
        this.chunks.push(
          { type: 'error', errorText: failureOf(done).message },
          { type: 'finish', finishReason: 'error' },
        )
        return
      case 'cancelled':
        this.#endParts()
        this.chunks.push({ type: 'abort', reason: failureOf(done).message }, { type: 'finish', finishReason: 'other' })
        return
      case 'stop':
      case 'length':
      case 'tool_calls':
      case 'content_filter':
        this.#finish(done)
    }
  }

  #finish(done: Done): void {
    this.#start()
    this.#writeBlocks(endBlocks(this.state.blocks, done.finish_reason === 'length'))
    this.#endParts()
    for (const call of this.state.calls) this.#endCall(call)
    const hasCalls = this.state.blocks.calls.size > 0
    this.chunks.push(
      { type: 'finish-step' },
      {
        type: 'finish',
        finishReason: finishReason(done, hasCalls),
        messageMetadata: toMetadata(done, this.state.info),
      },
    )
  }

  #start(): void {
    if (this.state.started) return
    this.state = { ...this.state, started: true }
    this.chunks.push({ type: 'start', messageId: messageId(this.state.info) }, { type: 'start-step' })
  }

  #writeBlocks(events: readonly BlockEvent[]): void {
    for (const event of events)
      if (event.type === 'start') this.#startBlock(event)
      else this.#growBlock(event.index, event.delta)
  }

  #startBlock({ index, block, overlaps }: BlockEvent & { type: 'start' }): void {
    if (!overlaps) this.#endParts()
    for (const call of this.state.calls) if (isWhole(call)) this.#endCall(call)
    switch (block.type) {
      case 'text':
        this.#startPart({ index, type: 'text' })
        return this.#growText(index, block.text)
      case 'thinking': {
        this.#startPart({ index, type: 'reasoning' })
        this.#growText(index, block.thinking)
        return this.#sign(index, block.signature)
      }
      case 'redacted_thinking': {
        const providerMetadata = { anthropic: { redactedData: block.data } }
        this.chunks.push({ type: 'reasoning-start', id: String(index), providerMetadata })
        this.chunks.push({ type: 'reasoning-end', id: String(index) })
        return
      }
    }
    const call = callOf(index, block)
    if (call) this.#startCall(call)
    else this.#writeResult(block)
  }

  #growBlock(index: number, { type, ...delta }: Fields): void {
    switch (type) {
      case 'text_delta':
        return this.#growText(index, delta.text)
      case 'thinking_delta':
        return this.#growText(index, delta.thinking)
      case 'signature_delta':
        return this.#sign(index, delta.signature)
      case 'citations_delta':
        return this.#writeSource(toSource(recordOrEmpty(delta.citation)))
      case 'input_json_delta':
        return this.#growCall(index, delta.partial_json)
    }
  }

  #startPart(part: OpenPart): void {
    const [oldest] = this.state.parts
    if (oldest && this.state.parts.length === MAX_OPEN) this.#endPart(oldest)
    this.state = { ...this.state, parts: [...this.state.parts, part] }
    this.chunks.push({ type: `${part.type}-start`, id: String(part.index) })
  }

  #growText(index: number, delta: unknown): void {
    const part = this.state.parts.find((each) => each.index === index)
    if (part && typeof delta === 'string' && delta !== '')
      this.chunks.push({ type: `${part.type}-delta`, id: String(index), delta })
  }

  /** As the AI SDK's own provider does: the client keeps the newest metadata of a part, and sends it back. */
  #sign(index: number, signature: unknown): void {
    if (typeof signature !== 'string' || signature === '') return
    if (!this.state.parts.some((part) => part.index === index && part.type === 'reasoning')) return
    const providerMetadata = { anthropic: { signature } }
    this.chunks.push({ type: 'reasoning-delta', id: String(index), delta: '', providerMetadata })
  }

  #endParts(): void {
    for (const part of this.state.parts) this.#endPart(part)
  }

  #endPart(part: OpenPart): void {
    this.state = { ...this.state, parts: this.state.parts.filter((each) => each !== part) }
    this.chunks.push({ type: `${part.type}-end`, id: String(part.index) })
  }

  #startCall(call: OpenCall): void {
    const [oldest] = this.state.calls
    if (oldest && this.state.calls.length === MAX_OPEN) this.#endCall(oldest)
    this.state = { ...this.state, calls: [...this.state.calls, call] }
    this.chunks.push(startChunk(call))
  }

  /** More of a call that has ended is white space. */
  #growCall(index: number, json: unknown): void {
    const call = this.state.calls.find((each) => each.index === index)
    if (!call || typeof json !== 'string' || json === '') return
    const grown = growCall(call, json)
    this.state = { ...this.state, calls: this.state.calls.map((each) => (each === call ? grown : each)) }
    this.chunks.push({ type: 'tool-input-delta', toolCallId: call.id, inputTextDelta: json })
  }

  #endCall(call: OpenCall): void {
    this.state = {
      ...this.state,
      calls: this.state.calls.filter((each) => each !== call),
      ended: this.state.ended.with(call.id, true),
    }
    this.chunks.push(endCall(call))
  }

  /** The result of a tool that the provider has run. */
  #writeResult(block: Fields): void {
    const { tool_use_id: id } = block
    if (typeof id !== 'string') return
    for (const call of this.state.calls) if (call.id === id) this.#endCall(call)
    // The client fails at a result whose call it has not seen.
    if (!this.state.ended.has(id)) return
    this.chunks.push(resultChunk(id, block))
  }

  #writeSource(source: Source | undefined): void {
    if (!source || this.state.sources.has(source.key)) return
    const sourceId = `source-${this.state.sources.size}`
    this.state = { ...this.state, sources: this.state.sources.with(source.key, true) }
    this.chunks.push({ ...source.chunk, sourceId })
  }
}

/** OpenAI reports `stop` when the caller forced the tool call. */
function finishReason({ finish_reason }: Done, hasCalls: boolean): string {
  if (finish_reason === 'stop' && hasCalls) return 'tool-calls'
  return finish_reason.replace('_', '-')
}
