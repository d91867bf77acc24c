import { isDeepStrictEqual } from 'node:util'
import { isRecord, type Fields } from '../../src/json.ts'
import type { FinishReason } from '../../src/stream/events.ts'
import type { AnthropicCarried } from '../../src/wires/anthropic.ts'
import { toAnthropicUsage } from '../../src/wires/anthropic-usage.ts'
import { findError, upstreamFailure, type StopReason } from '../error-objects.ts'
import { ProviderError, type Delta, type Done, type StreamEvent, type Usage } from '../provider.ts'
import { isGiven, isModel, parseRecord, parseValue, requireRecord } from '../received-fields.ts'
import { brokenOff, sentInvalid, sentOverLimit } from '../upstream-errors.ts'
import { BlockReader } from './blocks.ts'
import { CumulativeUsage, isFinishReason, toFinishReason } from './endings.ts'

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
  /** Undefined before `message_start`. */
  #message: Fields | undefined
  readonly #usage = new CumulativeUsage()
  readonly #blocks = new BlockReader()
  /** Fields of `message_delta`: those in its `delta`, and those beside it. */
  readonly #end = new Map<string, unknown>()
  readonly #besideEnd = new Map<string, unknown>()
  #endCharacters = 0
  /** `message_stop` was read; or `[DONE]`, with which some servers end every stream. */
  #stopped = false
  #done = false

  get finished(): boolean {
    return this.#stopped || this.#done
  }

  /**
   * @param name the name of the SSE event: its type, if the data has none
   * @throws ProviderError `upstream_invalid_response`, or the error that the upstream sent in its stream.
   */
  read(data: string, name?: string): Delta[] {
    const trimmed = data.trim()
    // Some servers send an empty `data:` as a heartbeat.
    if (trimmed === '' || name === 'ping') return []
    if (trimmed === '[DONE]') {
      this.#done = true
      return []
    }
    if (name === 'error' || name === 'exception')
      throw this.#failure(findError(parseValue(data)) ?? { message: trimmed })
    const event = parseRecord(data)
    const type = isGiven(event.type) ? event.type : name
    switch (type) {
      case 'content_block_delta':
        return this.#blocks.read(requireRecord(event.delta), event.index)
      case 'content_block_start':
        return this.#blocks.start(requireRecord(event.content_block), event.index)
      case 'content_block_stop':
        return this.#blocks.stop(event.index)
      case 'message_start':
        return this.#startMessage(requireRecord(event.message))
      case 'message_delta':
        this.#readEnd(event, data.length)
        return []
      case 'message_stop':
        this.#stopped = true
        return []
      case 'error':
        throw this.#failure(findError(event) ?? {})
      default: // `ping` and future types: the API asks its clients to ignore unknown types.
        if (!isGiven(event.type)) this.#readUntyped(event, name)
        return []
    }
  }

  /** The start of a message may hold all of it. */
  readWhole(body: Fields): Delta[] | undefined {
    if (body.type !== 'message' || !Array.isArray(body.content)) return undefined
    this.#stopped = true
    return this.#startMessage(body)
  }

  /**
   * Returns the last events. Call it after the upstream's last message.
   * @throws ProviderError `upstream_truncated` when the upstream sent no message, or did not report its end
   */
  end(): StreamEvent[] {
    const { model, stop_reason: early, stop_sequence, container } = this.#message ?? {}
    // A message that is whole in its start has its stop reason there.
    if (this.#stopped && typeof early === 'string' && !isGiven(this.#end.get('stop_reason'))) {
      this.#end.set('stop_reason', early)
      if (isGiven(stop_sequence)) this.#end.set('stop_sequence', stop_sequence)
      // The AI SDK takes it from the end.
      if (isGiven(container)) this.#end.set('container', container)
    }
    const reason = this.#end.get('stop_reason')
    const usage = this.#usage.read()
    // SDKs raise without the start and the stop of the message.
    if (!this.#message || !(this.#stopped || (this.#done && typeof reason === 'string'))) throw this.#truncated(usage)
    const finish_reason = typeof reason === 'string' ? toFinishReason(reason) : this.#unsaidReason()
    if (finish_reason === 'error') throw brokenOff(usage)
    const events: StreamEvent[] = this.#blocks.end(finish_reason === 'length')
    const ending = this.#ending()
    if (Object.keys(ending).length > 0) events.push({ type: 'delta', carried: { anthropic: ending } })
    const given = this.#usage.fields
    const done: Done = { type: 'done', finish_reason, ...(usage && { usage }), ...(isModel(model) && { model }) }
    // Some servers send OpenAI's names, too.
    if (given && !isDeepStrictEqual(toAnthropicUsage(usage), given)) done.carried = { anthropic: { usage: given } }
    return [...events, done]
  }

  /** `message_stop` without a stop reason: SDKs return null. Other wires have no null: calls, if any, are to be run. */
  #unsaidReason(): FinishReason {
    return this.#blocks.hasCalls ? 'tool_calls' : 'stop'
  }

  #truncated(usage: Usage | undefined): ProviderError {
    const isBegun = this.#message !== undefined || this.#blocks.started
    const reason = this.#toldReason()
    return new ProviderError({
      code: 'upstream_truncated',
      message: isBegun ? 'The upstream ended in mid-stream.' : 'The upstream sent no message.',
      // A server that leaves out a part will again, and every attempt is paid for.
      ...((reason || (isBegun && !this.#message)) && { retryable: false }),
      ...(usage && { usage }),
      ...(reason && { carried: { anthropic: reason } }),
    })
  }

  #failure(error: Fields): ProviderError {
    return upstreamFailure({ error, wire: 'anthropic', usage: this.#usage.read(), stopReason: this.#toldReason() })
  }

  /** For clients that are to see what came before an error. */
  #toldReason(): StopReason | undefined {
    const stop_reason = this.#end.get('stop_reason')
    const stop_sequence = this.#end.get('stop_sequence')
    if (!isShortText(stop_reason)) return undefined
    return { stop_reason, ...(isShortText(stop_sequence) && { stop_sequence }) }
  }

  /** An error that does not say so, unless it has a name of its own. */
  #readUntyped(event: Fields, name: string | undefined): void {
    const isNamed = name !== undefined && name !== 'message'
    const error = isNamed && !isGiven(event.error) ? undefined : findError(event)
    if (error) throw this.#failure(error)
  }

  #startMessage({ type: _type, role: _role, content, ...message }: Fields): Delta[] {
    if (this.#message) {
      // SDKs raise. Some servers repeat the start of the same message.
      if (this.#message.id !== message.id) throw sentInvalid('a message within another')
      return []
    }
    this.#message = message
    this.#usage.add(message.usage)
    const { id, model, stop_reason: _reason, stop_sequence: _sequence, ...rest } = message
    const identity = { ...(typeof id === 'string' && { id }), ...(typeof model === 'string' && { model }) }
    const start: Delta = {
      type: 'delta',
      carried: { anthropic: { ...identity, message_start: rest } },
      role: 'assistant',
    }
    // Programmatic tool calls come whole, within the start.
    const blocks = Array.isArray(content) ? content.map(requireRecord) : []
    return [
      start,
      ...blocks.flatMap((block, index) => [...this.#blocks.start(block, index), ...this.#blocks.stop(index)]),
    ]
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
    const isSaid = typeof stop_reason === 'string' && isFinishReason(stop_reason)
    // Omit fields that are null here and at the start of the message.
    const delta = Object.entries(rest).filter(([name, value]) => value !== null || this.#message?.[name] !== null)
    const message_delta = {
      ...(delta.length > 0 && { delta: Object.fromEntries(delta) }),
      ...Object.fromEntries(this.#besideEnd),
    }
    return {
      ...((!isSaid || isGiven(stop_sequence)) && {
        stop_reason: stop_reason ?? null,
        stop_sequence: stop_sequence ?? null,
      }),
      ...(Object.keys(message_delta).length > 0 && { message_delta }),
    }
  }
}

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 256
}
