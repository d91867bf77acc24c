import { z } from 'zod'
import { chatRequestSchema, modelName } from '../chat-request.ts'
import { invalidRequest, toFaults, type SluiceError } from '../errors.ts'
import { isPlainText, type StreamError } from '../stream/events.ts'
import type { Batch, StreamInfo, StreamLog } from '../stream/stream-log.ts'
import { initialState, isAnswer, toChunks, type Chunk, type ChunkState, type EventChunks } from './openai-chunks.ts'
import { addChunk, newCompletion } from './openai-completion.ts'
import type { Encoded, Encoder, ParsedRequest, Protocol, RenderedError } from './protocol.ts'

/** OpenAI's Chat Completions: https://platform.openai.com/docs/api-reference/chat */
export const openaiChat: Protocol = {
  name: 'openai-chat',
  // Without the blank line that may follow a comment: having seen an `id`, the Python SDK takes that line for the
  // end of an event without data, and fails to parse it.
  heartbeat: ': heartbeat\n',
  reconnects: false,
  parse: parseCompletion,
  encoder: (info) => new ChunkEncoder(initialState(info)),
  renderAnswer,
  renderError: (error) => renderError(error),
}

const completionSchema = chatRequestSchema.extend({
  model: modelName,
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
})

function parseCompletion(body: unknown): ParsedRequest {
  const parsed = completionSchema.safeParse(body)
  if (!parsed.success) throw invalidRequest(toFaults(parsed.error.issues))
  const { stream, stream_options, ...input } = parsed.data
  // Usage is always asked for; whether the caller hears of it is decided here.
  const { include_usage, ...options } = stream_options ?? {}
  return {
    input: { ...input, ...(Object.keys(options).length > 0 && { stream_options: options }) },
    stream: stream ?? false,
    labels: include_usage ? { include_usage: 'true' } : {},
  }
}

class ChunkEncoder implements Encoder {
  readonly #state: ChunkState
  /** What stands around the text of a chunk that has nothing else, as long as the state is this. */
  #around: readonly [before: string, after: string] | undefined

  constructor(state: ChunkState) {
    this.#state = state
  }

  encode(batch: Batch): Encoded {
    const [only] = batch.events
    if (batch.events.length === 1 && only && isPlainText(only.event) && this.#state.begun.includes(0)) {
      const { content } = only.event
      // Most batches: a whole chunk would cost more to build and to write than all else that is done for a token.
      if (content !== '') {
        const [before, after] = (this.#around ??= aroundText(this.#state))
        const text = `id: ${only.seq}\ndata: ${before}${JSON.stringify(content)}${after}\n\n`
        return { text, frames: 1, next: this }
      }
    }
    const { eventChunks, state } = toChunks(batch.events, this.#state)
    let text = ''
    let frames = 0
    for (const { seq, data } of eventChunks.flatMap(toData)) {
      text += seq === undefined ? `data: ${data}\n\n` : `id: ${seq}\ndata: ${data}\n\n`
      frames += 1
    }
    return { text, frames, next: new ChunkEncoder(state) }
  }
}

/** A chunk with a text that no other field of it can be, cut where that was. */
function aroundText(state: ChunkState): readonly [string, string] {
  const event = { type: 'delta', content: '\0' } as const
  const [chunks] = toChunks([{ seq: 0, event }], state).eventChunks
  const json = JSON.stringify(chunks?.chunks[0])
  const text = JSON.stringify(event.content)
  const at = json.lastIndexOf(text)
  return [json.slice(0, at), json.slice(at + text.length)]
}

/** The `data` of each frame. Only the last of an event has its seq: a reader never resumes in the middle of one. */
function toData({ seq, chunks, done }: EventChunks): { seq?: number; data: string }[] {
  const data = chunks.map((chunk) => JSON.stringify(chunk))
  // No `[DONE]` after a failure: an SDK would take what it has for the whole answer.
  if (done) data.push(isAnswer(done) ? '[DONE]' : JSON.stringify({ error: toErrorObject(failureOf(done.error)) }))
  return data.map((each, i) => (i === data.length - 1 ? { seq, data: each } : { data: each }))
}

function failureOf(error: StreamError | undefined): StreamError {
  return error ?? { code: 'cancelled', message: 'The stream was cancelled.', retryable: false }
}

function renderAnswer(log: StreamLog): unknown {
  const completion = newCompletion()
  for (const chunk of allChunks(log)) addChunk(completion, chunk)
  return { ...completion, ...(log.done?.usage && { usage: log.done.usage }) }
}

function* allChunks(log: StreamLog): Generator<Chunk> {
  let state = initialState(withoutUsage(log.info))
  for (let batch = log.read(0); batch; batch = log.read(batch.last)) {
    const read = toChunks(batch.events, state)
    state = read.state
    for (const { chunks } of read.eventChunks) yield* chunks
  }
}

function withoutUsage(info: StreamInfo): StreamInfo {
  return { ...info, labels: {} }
}

/** https://platform.openai.com/docs/guides/error-codes */
function renderError(error: SluiceError): RenderedError {
  return {
    status: statusOf(error),
    type: 'application/json',
    headers: { 'x-should-retry': String(error.retryable) },
    body: { error: toErrorObject(error, error.faults?.[0]?.path) },
  }
}

/** What the upstream said of the request is said again; what it said of the gateway's key is not. */
function statusOf({ code, status, upstreamStatus = 0 }: SluiceError): number {
  return upstreamStatus >= 400 && code !== 'upstream_auth' ? upstreamStatus : status
}

function toErrorObject({ code, message, retryable }: StreamError, param: string | null = null) {
  return { message, type: retryable ? 'server_error' : 'invalid_request_error', param, code }
}
