import { isFinishReason, toFinishReason, upstreamError, CumulativeUsage } from './endings.ts'
import { eventsOfMessage } from './whole-message.ts'
import { isModel, MAX_TOOL_CALLS, isGiven, parseRecord, requireRecord, toText } from '../received-fields.ts'
import { ProviderError, type Delta, type StreamEvent, type ToolCallDelta } from '../provider.ts'
import { isRecord, type Fields } from '../../src/json.ts'
import type { AnthropicCarried } from '../../src/wires/anthropic.ts'
import { sentInvalid, sentOverLimit } from '../upstream-errors.ts'

/** Totals for all `message_delta` events: their fields are kept until the end, and no memory budget counts them. */
const MAX_END_FIELDS = 256
const MAX_END_CHARACTERS = 1024 * 1024
/** Smaller events are not counted: some servers repeat the usage with each token. */
const MAX_SMALL_CHARACTERS = 4096

/**
 * Reads the `data` of one Messages stream into deltas from which the stream can be restored without loss. Fields
 * without a counterpart in a delta are carried, see `wires/anthropic.ts`.
 *
 * https://platform.claude.com/docs/en/build-with-claude/streaming
 */
export class MessageReader {
  readonly wire = 'anthropic'
  #message: Fields = {}
  readonly #usage = new CumulativeUsage()
  #block: OpenBlock | undefined
  /** The type of the block before the open one. */
  #previous: string | undefined
  #toolCalls = 0
  /** Fields of `message_delta`: those in its `delta`, and those beside it. */
  readonly #end = new Map<string, unknown>()
  readonly #besideEnd = new Map<string, unknown>()
  #endCharacters = 0
  #stopped = false

  /** `message_stop` was read. */
  get finished(): boolean {
    return this.#stopped
  }

  /** @throws ProviderError `upstream_invalid_response`, or the error that the upstream sent in its stream. */
  read(data: string): Delta[] {
    const event = parseRecord(data)
    switch (event.type) {
      case 'content_block_delta':
        return this.#readDelta(requireRecord(event.delta), event.index)
      case 'content_block_start':
        return [...this.#endBlock(), ...this.#startBlock(requireRecord(event.content_block), event.index)]
      case 'content_block_stop':
        return this.#endBlock()
      case 'message_start':
        return this.#startMessage(requireRecord(event.message))
      case 'message_delta':
        this.#readEnd(event, data.length)
        return []
      case 'message_stop':
        this.#stopped = true
        return []
      case 'error':
        throw upstreamError(event.error, this.#usage.read())
      default: // `ping` and future types: the API asks its clients to ignore unknown types.
        return []
    }
  }

  readWhole(body: Fields): Delta[] | undefined {
    return eventsOfMessage(body)?.flatMap((event) => this.read(JSON.stringify(event)))
  }

  /**
   * Returns the last events. Call it after the upstream's last message.
   * @throws ProviderError `upstream_truncated` when the upstream did not report an end of the message
   */
  end(): StreamEvent[] {
    const stop_reason = this.#end.get('stop_reason')
    if (typeof stop_reason !== 'string' && !this.#stopped)
      throw new ProviderError({ code: 'upstream_truncated', message: 'The upstream ended in mid-stream.' })
    const events: StreamEvent[] = this.#endBlock()
    const ending = this.#ending()
    if (Object.keys(ending).length > 0) events.push(carry(ending))
    const usage = this.#usage.read()
    const { model } = this.#message
    events.push({
      type: 'done',
      finish_reason: typeof stop_reason === 'string' ? toFinishReason(stop_reason) : 'stop',
      ...(usage && { usage }),
      ...(isModel(model) && { model }),
    })
    return events
  }

  #startMessage({ type: _type, role: _role, content: _content, ...message }: Fields): Delta[] {
    this.#message = message
    this.#usage.add(message.usage)
    const { id, model, stop_reason: _reason, stop_sequence: _sequence, ...rest } = message
    const identity = { ...(typeof id === 'string' && { id }), ...(typeof model === 'string' && { model }) }
    return [{ ...carry({ ...identity, message_start: rest }), role: 'assistant' }]
  }

  #startBlock(block: Fields, index: unknown): Delta[] {
    const { type } = block
    if (typeof type !== 'string') throw sentInvalid('a content block without a type')
    const open: OpenBlock = { index, type, start: block, told: true }
    this.#block = open
    switch (type) {
      case 'text':
      case 'thinking': {
        // The field with the block's text has the name of its type. Initial text is passed on as a first delta.
        const text = block[type]
        open.start = { ...block, [type]: '' }
        open.told = false
        const started = type === this.#previous || !isImplied(open.start) ? tell(open) : []
        return text ? [...started, ...this.#readDelta({ type: `${type}_delta`, [type]: text }, index)] : started
      }
      case 'tool_use':
        return [this.#startToolCall(open)]
      case 'redacted_thinking':
        if (typeof block.data === 'string' && Object.keys(block).length === 2)
          return [carry({ redacted_thinking: block.data })]
    }
    return [carry({ content_block: block })]
  }

  #startToolCall(open: OpenBlock): Delta {
    const { type: _, id, name, input: _input, ...rest } = open.start
    if (typeof id !== 'string' || typeof name !== 'string') throw sentInvalid('a tool call without an id or a name')
    open.call = this.#toolCalls
    this.#toolCalls += 1
    if (this.#toolCalls > MAX_TOOL_CALLS) throw sentOverLimit(`more than ${MAX_TOOL_CALLS} tool calls`)
    const call: ToolCallDelta = { index: open.call, id, type: 'function', function: { name, arguments: '' } }
    const isMore = Object.keys(rest).length > 0
    return {
      ...(isMore ? carry({ content_block: { ...open.start, input: {} } }) : { type: 'delta' }),
      tool_calls: [call],
    }
  }

  #readDelta(delta: Fields, index: unknown): Delta[] {
    const block = this.#block
    if (!block || block.index !== index) throw sentInvalid('a delta of a block that is not open')
    const { text, thinking, signature, citation, partial_json } = delta
    switch (`${block.type} ${typeof delta.type === 'string' ? delta.type : ''}`) {
      case 'text text_delta':
        if (text) return imply(block, { content: toText(text) })
        break
      case 'text citations_delta':
        if (isRecord(citation)) return imply(block, carry({ citation }))
        break
      case 'thinking thinking_delta':
        if (thinking) return imply(block, { reasoning: toText(thinking) })
        break
      case 'thinking signature_delta':
        if (typeof signature === 'string' && signature) return imply(block, carry({ signature }))
        break
      case 'tool_use input_json_delta':
        if (partial_json) return toArguments(block, toText(partial_json))
    }
    if (saysNothing(delta)) return []
    return [...tell(block), carry({ content_block_delta: delta })]
  }

  #endBlock(): Delta[] {
    const block = this.#block
    if (!block) return []
    this.#block = undefined
    this.#previous = block.type
    // Some servers send the input in the start event. A call without input gets `{}`: other clients need valid JSON.
    if (block.call !== undefined && !block.hasArguments)
      return toArguments(block, JSON.stringify(block.start.input ?? {}))
    return tell(block)
  }

  /** Reads a `message_delta`. A stream may have several; their counts are cumulative. */
  #readEnd({ type: _, delta, usage, ...rest }: Fields, characters: number): void {
    if (characters > MAX_SMALL_CHARACTERS) this.#endCharacters += characters
    if (this.#endCharacters > MAX_END_CHARACTERS)
      throw sentOverLimit(`more than ${MAX_END_CHARACTERS} characters of message_delta`)
    if (isRecord(delta)) for (const [name, value] of Object.entries(delta)) this.#end.set(name, value)
    for (const [name, value] of Object.entries(rest)) if (isGiven(value)) this.#besideEnd.set(name, value)
    if (this.#end.size + this.#besideEnd.size > MAX_END_FIELDS)
      throw sentOverLimit(`more than ${MAX_END_FIELDS} fields in message_delta`)
    this.#usage.add(usage)
  }

  #ending(): AnthropicCarried {
    const { stop_reason, stop_sequence, ...rest }: Fields = Object.fromEntries(this.#end)
    const isSaid = typeof stop_reason !== 'string' || isFinishReason(stop_reason)
    // Omit fields that are null here and at the start of the message.
    const delta = Object.entries(rest).filter(([name, value]) => value !== null || this.#message[name] !== null)
    const message_delta = {
      ...(delta.length > 0 && { delta: Object.fromEntries(delta) }),
      ...Object.fromEntries(this.#besideEnd),
    }
    return {
      ...((!isSaid || isGiven(stop_sequence)) && { stop_reason, stop_sequence: stop_sequence ?? null }),
      ...(Object.keys(message_delta).length > 0 && { message_delta }),
    }
  }
}

interface OpenBlock {
  index: unknown
  type: string
  start: Fields
  /** The deltas so far announce this block. */
  told: boolean
  /** Index among the tool calls. */
  call?: number
  hasArguments?: boolean
}

const TEXT_FIELDS = new Set(['text', 'thinking', 'signature'])

/** Whether the block's deltas imply everything in this start. */
function isImplied(start: Fields): boolean {
  return Object.entries(start).every(([name, value]) => name === 'type' || (value === '' && TEXT_FIELDS.has(name)))
}

/** Whether a delta adds nothing to its block. */
function saysNothing(delta: Fields): boolean {
  return Object.entries(delta).every(([name, value]) => name === 'type' || value === '' || value === null)
}

/** A delta whose fields imply the type of its block. */
function imply(block: OpenBlock, fields: Omit<Delta, 'type'>): Delta[] {
  block.told = true
  return [{ type: 'delta', ...fields }]
}

function tell(block: OpenBlock): Delta[] {
  if (block.told) return []
  block.told = true
  return [carry({ content_block: block.start })]
}

function carry(anthropic: AnthropicCarried): Delta {
  return { type: 'delta', carried: { anthropic } }
}

function toArguments(block: OpenBlock, json: string): Delta[] {
  block.hasArguments = true
  return [{ type: 'delta', tool_calls: [{ index: block.call ?? 0, function: { arguments: json } }] }]
}
