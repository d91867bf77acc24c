import { z } from 'zod'
import type { FinishReason } from '../src/stream/events.ts'
import { ProviderError, type Delta, type Done, type ToolCallDelta, type Usage } from './provider.ts'
import { codeForStatus } from './upstream.ts'

type Fields = Partial<Record<string, unknown>>

/** Fields of a chunk that are modelled, that are the gateway's own to say, or that are padding (`obfuscation`). */
const CHUNK_FIELDS = new Set(['id', 'object', 'created', 'model', 'choices', 'usage', 'error', 'obfuscation'])
const CHOICE_FIELDS = new Set(['index', 'delta', 'finish_reason'])
const DELTA_FIELDS = new Set(['role', 'content', 'reasoning_content', 'reasoning', 'refusal', 'tool_calls'])

const FINISH_REASONS: Partial<Record<string, FinishReason>> = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
}

const usageSchema = z.looseObject({
  prompt_tokens: z.number(),
  completion_tokens: z.number().default(0),
  total_tokens: z.number().optional(),
})

const errorSchema = z.union([
  z.string().transform((message) => ({ message, code: undefined })),
  z.object({
    message: z.string().catch('The upstream failed.'),
    code: z.union([z.string(), z.number()]).nullish().catch(undefined),
  }),
])

/**
 * Reads the `data` of one Chat Completions stream into deltas, and knows how it ended. Lenient about what servers
 * leave out or add, strict about what would be lost: nothing that is not understood is dropped in silence.
 */
export class ChunkReader {
  #finishReason: FinishReason | undefined
  #usage: Usage | undefined
  #model: string | undefined
  #done = false
  /** Fields that repeat on every chunk are told when they change. */
  readonly #told = new Map<string, string>()
  readonly #rolesTold = new Set<number>()

  /** `[DONE]` was read. */
  get finished(): boolean {
    return this.#done
  }

  /** @throws ProviderError `upstream_invalid_response`, or the error that the upstream sent in its stream. */
  read(data: string): Delta[] {
    if (data === '[DONE]') {
      this.#done = true
      return []
    }
    // An empty `data:` is some servers' heartbeat.
    if (data.trim() === '') return []
    const chunk = parse(data)
    if (isGiven(chunk.error)) throw upstreamError(chunk.error)
    if (typeof chunk.model === 'string') this.#model = chunk.model
    if (isGiven(chunk.usage)) this.#usage = readUsage(chunk.usage) ?? this.#usage
    const deltas: Delta[] = []
    if (Array.isArray(chunk.choices)) for (const choice of chunk.choices) this.#readChoice(toFields(choice), deltas)
    const extra = this.#changed(chunk)
    if (extra) {
      const first = deltas[0]
      if (first) first.extra = { ...extra, ...first.extra }
      else deltas.push({ type: 'delta', extra })
    }
    return deltas
  }

  /**
   * How the stream ended, once there is no more of it.
   * @throws ProviderError `upstream_truncated` when the upstream never said that it had finished.
   */
  end(): Done {
    const finish_reason = this.#finishReason ?? (this.#done ? 'stop' : undefined)
    if (!finish_reason)
      throw new ProviderError({ code: 'upstream_truncated', message: 'The upstream ended in mid-stream.' })
    return {
      type: 'done',
      finish_reason,
      ...(this.#usage && { usage: this.#usage }),
      ...(this.#model !== undefined && { model: this.#model }),
    }
  }

  #readChoice(choice: Fields, deltas: Delta[]): void {
    const index = typeof choice.index === 'number' ? choice.index : 0
    const source = isGiven(choice.delta) ? toFields(choice.delta) : {}
    const delta: Delta = index === 0 ? { type: 'delta' } : { type: 'delta', index }
    if (source.role === 'assistant' && !this.#rolesTold.has(index)) {
      this.#rolesTold.add(index)
      delta.role = 'assistant'
    }
    const { content, reasoning } = readContent(source)
    if (content) delta.content = content
    if (reasoning) delta.reasoning = reasoning
    if (typeof source.refusal === 'string' && source.refusal) delta.refusal = source.refusal
    if (isGiven(source.tool_calls)) delta.tool_calls = readToolCalls(source.tool_calls)
    const extra = { ...otherFields(choice, CHOICE_FIELDS), ...otherFields(source, DELTA_FIELDS) }
    if (typeof choice.finish_reason === 'string') {
      const known = FINISH_REASONS[choice.finish_reason]
      // `done` speaks for the first choice; what it cannot say is carried beside it.
      if (index === 0) this.#finishReason = known ?? 'stop'
      if (index !== 0 || !known) extra.finish_reason = choice.finish_reason
    }
    if (Object.keys(extra).length > 0) delta.extra = extra
    if (Object.keys(delta).length > (index === 0 ? 1 : 2)) deltas.push(delta)
  }

  #changed(chunk: Fields): Record<string, unknown> | undefined {
    const fields = otherFields(chunk, CHUNK_FIELDS)
    if (!fields) return undefined
    let changed: Record<string, unknown> | undefined
    for (const [name, value] of Object.entries(fields)) {
      const json = JSON.stringify(value)
      if (this.#told.get(name) === json) continue
      this.#told.set(name, json)
      changed = { ...changed, [name]: value }
    }
    return changed
  }
}

function parse(data: string): Fields {
  try {
    return toFields(JSON.parse(data))
  } catch (error) {
    throw error instanceof ProviderError ? error : invalid('broken JSON', error)
  }
}

function invalid(what: string, cause?: unknown): ProviderError {
  return new ProviderError({ code: 'upstream_invalid_response', message: `The upstream sent ${what}.`, cause })
}

function toFields(value: unknown): Fields {
  if (isFields(value)) return value
  throw invalid('something that is no chunk')
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

function otherFields(fields: Fields, known: ReadonlySet<string>): Record<string, unknown> | undefined {
  let others: Record<string, unknown> | undefined
  for (const name in fields) {
    if (known.has(name) || !isGiven(fields[name])) continue
    others ??= {}
    others[name] = fields[name]
  }
  return others
}

/** Content is a string, or (Mistral) a list of parts of which some are thoughts. Reasoning has two names. */
function readContent({ content, reasoning_content, reasoning }: Fields): { content: string; reasoning: string } {
  const read = { content: '', reasoning: '' }
  if (typeof content === 'string') read.content = content
  else if (Array.isArray(content)) for (const part of content) readPart(toFields(part), read)
  else if (isGiven(content)) throw invalid('content that is no text')
  if (typeof reasoning_content === 'string') read.reasoning += reasoning_content
  else if (typeof reasoning === 'string') read.reasoning += reasoning
  return read
}

function readPart(part: Fields, into: { content: string; reasoning: string }): void {
  if (typeof part.text === 'string') into.content += part.text
  else if (typeof part.thinking === 'string') into.reasoning += part.thinking
  else if (Array.isArray(part.thinking)) {
    for (const thought of part.thinking) {
      const { text } = toFields(thought)
      if (typeof text === 'string') into.reasoning += text
    }
  }
}

const toolCallsSchema = z.array(
  z.looseObject({
    index: z.number().int().nonnegative().optional(),
    id: z.string().nullish(),
    function: z.looseObject({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
  }),
)

/** Some servers leave `index` out when there is one call to a chunk, and repeat empty ids and names. */
function readToolCalls(value: unknown): ToolCallDelta[] {
  const parsed = toolCallsSchema.safeParse(value)
  if (!parsed.success) throw invalid('malformed tool calls', parsed.error)
  return parsed.data.map(({ index, id, function: called }, position) => ({
    index: index ?? position,
    ...(id ? { id, type: 'function' as const } : {}),
    function: {
      ...(called?.name ? { name: called.name } : {}),
      arguments: called?.arguments ?? '',
    },
  }))
}

function readUsage(value: unknown): Usage | undefined {
  const parsed = usageSchema.safeParse(value)
  if (!parsed.success) return undefined
  const { total_tokens, ...usage } = parsed.data
  return { ...usage, total_tokens: total_tokens ?? usage.prompt_tokens + usage.completion_tokens }
}

function upstreamError(value: unknown): ProviderError {
  const { message, code } = errorSchema.catch({ message: 'The upstream failed.', code: undefined }).parse(value)
  const status = Number(code)
  return new ProviderError({ code: status >= 400 ? codeForStatus(status) : 'upstream_error', message })
}
