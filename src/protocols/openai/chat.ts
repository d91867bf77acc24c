import { z } from 'zod'
import { chatFields, isPlainChat, modelName } from '../../chat-request.ts'
import { failureOf, invalidRequest, statusOfCode, type SluiceError } from '../../errors.ts'
import { toFaults } from '../../faults.ts'
import { encodeComment, encodeJson } from '../../sse/encode.ts'
import { readLastEventId } from '../../sse/last-event-id.ts'
import { isPlainText, type StreamError } from '../../stream/events.ts'
import type { Batch, StreamInfo, StreamLog } from '../../stream/stream-log.ts'
import { readInSlices } from '../../stream/event-loop.ts'
import { initialState, isAnswer, toChunks, type ChunkState, type EventChunks } from './chunks.ts'
import { CompletionCollector } from './completion.ts'
import { reportedUsage } from '../reported-usage.ts'
import { forwards } from './forwards.ts'
import { continuesText, withText } from './from-anthropic.ts'
import type { Encoded, Encoder, Model, ParsedRequest, Protocol, RenderedError } from '../protocol.ts'
import { isRecord, withoutNulls, type Fields } from '../../json.ts'
import type { Carried } from '../../wires/carried.ts'
import { openaiFields } from '../../wires/openai.ts'

/** OpenAI's Chat Completions: https://platform.openai.com/docs/api-reference/chat */
export const openaiChat: Protocol = {
  name: 'openai-chat',
  wire: 'openai',
  createPath: '/v1/chat/completions',
  paths: ['/v1/chat/completions', ...forwards.map(({ path }) => path)],
  forwards,
  heartbeat: encodeComment('heartbeat'),
  reconnects: false,
  parse: parseCompletion,
  readCursor: readLastEventId,
  encoder: (info) => new ChunkEncoder(initialState(info)),
  renderWhole,
  models: { renderList: (models) => ({ object: 'list', data: models.map(renderModel) }), renderModel },
  renderError: (error) => renderError(error),
}

const completionSchema = z.preprocess(
  withoutNulls,
  chatFields.extend({
    model: modelName,
    stream: z.boolean().optional(),
    stream_options: z.preprocess(withoutNulls, z.looseObject({ include_usage: z.boolean().optional() })).optional(),
  }),
)

type Completion = z.infer<typeof completionSchema>

function isPlainCompletion(body: unknown): body is Completion {
  if (!isPlainChat(body)) return false
  const { model, stream = false, stream_options: options = {} } = body
  return model !== undefined && typeof stream === 'boolean' && isPlainOptions(options)
}

function isPlainOptions(options: unknown): boolean {
  if (!isRecord(options)) return false
  return Object.keys(options).every((name) => name === 'include_usage' && typeof options[name] === 'boolean')
}

function parseCompletion(body: unknown): ParsedRequest {
  const { stream, stream_options, ...input } = isPlainCompletion(body) ? body : checkCompletion(body)
  // Usage is always requested from the upstream; this option decides whether the caller receives it.
  const { include_usage, ...options } = stream_options ?? {}
  return {
    input: { ...input, ...(Object.keys(options).length > 0 && { stream_options: options }) },
    mode: stream ? 'stream' : 'whole',
    labels: include_usage ? { include_usage: 'true' } : {},
  }
}

function checkCompletion(body: unknown): Completion {
  const parsed = completionSchema.safeParse(body)
  if (parsed.success) return parsed.data
  throw invalidRequest(toFaults(parsed.error.issues))
}

class ChunkEncoder implements Encoder {
  readonly #state: ChunkState
  readonly #begun: boolean
  /** JSON before and after the text of a text-only chunk; valid for this state. */
  #around: readonly [before: string, after: string] | undefined

  constructor(state: ChunkState, around?: readonly [string, string]) {
    this.#state = state
    this.#begun = state.begun.has(0)
    this.#around = around
  }

  encode(batch: Batch): Encoded {
    const [only] = batch.events
    if (batch.events.length === 1 && only && isPlainText(only.event) && this.#begun) {
      const { content } = only.event
      const { notes } = this.#state
      // Most batches take this path: building and serialising a whole chunk costs more than the rest of a token's work.
      if (content !== '' && (!notes || continuesText(notes))) {
        const [before, after] = (this.#around ??= aroundText(this.#state))
        const text = `data: ${before}${encodeJson(content)}${after}\nid: ${only.seq}\n\n`
        const next = notes ? new ChunkEncoder({ ...this.#state, notes: withText(notes, content) }, this.#around) : this
        return { text, frames: 1, next }
      }
    }
    const { eventChunks, state } = toChunks(batch.events, this.#state)
    let text = ''
    let frames = 0
    for (const { seq, data } of eventChunks.flatMap(toData)) {
      text += seq === undefined ? `data: ${data}\n\n` : `data: ${data}\nid: ${seq}\n\n`
      frames += 1
    }
    return { text, frames, next: new ChunkEncoder(state) }
  }

  skip({ events }: Batch): Encoder {
    if (this.#begun && !this.#state.notes && events.every(({ event }) => isPlainText(event))) return this
    return new ChunkEncoder(toChunks(events, this.#state).state)
  }
}

/** Serialises a chunk with a unique placeholder as its text, and splits the JSON there. */
function aroundText(state: ChunkState): readonly [string, string] {
  const event = { type: 'delta', content: '\0' } as const
  const [chunks] = toChunks([{ seq: 0, event }], state).eventChunks
  const json = encodeJson(chunks?.chunks[0])
  const text = encodeJson(event.content)
  const at = json.lastIndexOf(text)
  return [json.slice(0, at), json.slice(at + text.length)]
}

/** The `data` of each frame. Only the last frame of an event has its seq: a reader never resumes within an event. */
function toData({ seq, chunks, done }: EventChunks): { seq?: number; data: string }[] {
  const data = chunks.map((chunk) => encodeJson(chunk))
  // No `[DONE]` after a failure: an SDK would take a partial answer for the whole.
  if (done) data.push(isAnswer(done) ? '[DONE]' : encodeJson({ error: toErrorObject(failureOf(done), done.carried) }))
  return data.map((each, i) => (i === data.length - 1 ? { seq, data: each } : { data: each }))
}

async function renderWhole(log: StreamLog): Promise<unknown> {
  const { done } = log
  const collector = new CompletionCollector()
  let state = initialState(withoutUsage(log.info))
  await readInSlices(log, log.last, ({ events }) => {
    const read = toChunks(events, state)
    state = read.state
    for (const { chunks } of read.eventChunks) for (const chunk of chunks) collector.add(chunk)
  })
  const usage = done && reportedUsage(done)
  return { ...collector.completion, ...(usage && { usage }) }
}

function withoutUsage(info: StreamInfo): StreamInfo {
  return { ...info, labels: {} }
}

/** https://platform.openai.com/docs/api-reference/models/object – the creation time of a model is unknown. */
function renderModel({ id, provider }: Model) {
  return { id, object: 'model', created: 0, owned_by: provider }
}

/** https://platform.openai.com/docs/guides/error-codes */
export function renderError(error: SluiceError): RenderedError {
  return {
    status: statusOf(error),
    type: 'application/json',
    headers: { 'x-should-retry': String(error.retryable) },
    body: { error: toErrorObject(error, error.carried, error.faults?.[0]?.path) },
  }
}

/**
 * Passes on the upstream's status for the request, but not its status for the gateway's key, nor Anthropic's own 529 for
 * an overload.
 */
function statusOf({ code, status, upstreamStatus = 0, carried }: SluiceError): number {
  if (upstreamStatus === 529 && !openaiFields(carried).error) return status
  return upstreamStatus >= 400 && code !== 'upstream_auth' ? upstreamStatus : status
}

/** The error object of an upstream of this wire stays as it came; `sluice_code` is then our code. */
export function toErrorObject(
  { code, message, retryable }: StreamError,
  carried: Carried | undefined,
  param: string | null = null,
): Fields {
  const { error } = openaiFields(carried)
  const ours = { message, type: errorType(code, retryable), param, code }
  if (error) return { ...ours, ...error, sluice_code: code }
  const isOverflow = code === 'upstream_rejected' && OVERFLOW.test(message)
  return isOverflow ? { ...ours, code: 'context_length_exceeded', sluice_code: code } : ours
}

/** How Anthropic says that a conversation is too long. Clients of OpenAI shorten it when they see OpenAI's code. */
const OVERFLOW = /\bprompt is too long\b|\bexceed context limit\b/

/** The nearest type for a code. */
function errorType(code: string, retryable: boolean): string {
  if (code === 'upstream_rate_limited' || code === 'rate_limit_exceeded') return 'rate_limit_error'
  if (code === 'insufficient_quota') return 'insufficient_quota'
  return retryable || statusOfCode(code) >= 500 ? 'server_error' : 'invalid_request_error'
}
