import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { setField, type Fields } from '../../src/json.ts'
import type { FinishReason } from '../../src/stream/events.ts'
import { ChunkTemplate } from './chunk-template.ts'
import { boundUsage, isModel, MAX_CHOICES, isGiven, parseRecord, requireRecord } from '../received-fields.ts'
import { ToolCallReader } from './tool-calls.ts'
import { ProviderError, type Delta, type Done, type Usage } from '../provider.ts'
import type { OpenAICarried } from '../../src/wires/openai.ts'
import { codeForStatus, sentInvalid, sentOverLimit } from '../upstream-errors.ts'

/** Maximum distinct names of unmodelled fields; real servers use about a dozen. */
const MAX_NAMES = 256

/** Chunk fields that are not carried: they are modelled, or padding (`obfuscation`). */
const CHUNK_FIELDS = new Set(['object', 'choices', 'usage', 'error', 'obfuscation'])
/** Carried once per stream, though some servers change them with every chunk. */
const FIXED_FIELDS = new Set(['id', 'created', 'model'])
const CHOICE_FIELDS = new Set(['index', 'delta', 'finish_reason'])
const DELTA_FIELDS = new Set(['role', 'content', 'reasoning_content', 'reasoning', 'refusal', 'tool_calls'])

const FINISH_REASONS: ReadonlyMap<string, FinishReason> = new Map([
  ['stop', 'stop'],
  ['length', 'length'],
  ['tool_calls', 'tool_calls'],
  ['function_call', 'tool_calls'],
  ['content_filter', 'content_filter'],
  // OpenRouter, DeepSeek and vLLM report an answer that broke off with these reasons.
  ['error', 'error'],
  ['insufficient_system_resource', 'error'],
  ['abort', 'error'],
])

const tokenCount = z.number().int().nonnegative()

const usageSchema = z.looseObject({
  prompt_tokens: tokenCount,
  completion_tokens: tokenCount.default(0),
  total_tokens: tokenCount.optional(),
})

const errorSchema = z.union([
  z.string().transform((message) => ({ message, code: undefined })),
  z.object({
    message: z.string().catch('The upstream failed.'),
    code: z.union([z.string(), z.number()]).nullish().catch(undefined),
  }),
])

/**
 * Reads the `data` of one Chat Completions stream into deltas and a final `done`. Lenient about fields that servers
 * omit or add; strict about data loss: nothing is dropped silently.
 */
export class ChunkReader {
  #finishReason: FinishReason | undefined
  #usage: Usage | undefined
  #model: string | undefined
  #done = false
  readonly #template = new ChunkTemplate()
  /** Fields that repeat on every chunk, with the last value carried: only changes are carried. */
  readonly #told = new Map<string, unknown>()
  /** Names of all unmodelled fields so far. */
  readonly #names = new Set<string>()
  readonly #rolesTold = new Set<number>()
  readonly #toolCalls = new ToolCallReader()

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
    const text = this.#template.match(data)
    if (text !== undefined) return text === '' ? [] : [{ type: 'delta', content: text }]
    // Some servers send an empty `data:` as a heartbeat.
    if (data.trim() === '') return []
    const chunk = parseRecord(data)
    if (isGiven(chunk.error)) throw upstreamError(chunk.error)
    if (isModel(chunk.model) && chunk.model !== this.#model) {
      this.#model = chunk.model
      this.#template.forget()
    }
    if (isGiven(chunk.usage)) this.#usage = readUsage(chunk.usage) ?? this.#usage
    const deltas: Delta[] = []
    if (Array.isArray(chunk.choices))
      for (const choice of chunk.choices) this.#readChoice(requireRecord(choice), deltas)
    const changed = this.#changed(chunk)
    if (changed) {
      const first = deltas[0]
      if (first) first.carried = { openai: { chunk: changed, ...first.carried?.openai } }
      else deltas.push({ type: 'delta', carried: { openai: { chunk: changed } } })
      this.#template.forget()
    }
    const [only] = deltas
    if (deltas.length === 1 && only && isNothingButContent(only) && !isGiven(chunk.usage) && !this.#finishReason)
      this.#template.learn(data, only.content)
    return deltas
  }

  /**
   * Returns `done`. Call it after the upstream's last message.
   * @throws ProviderError `upstream_truncated` when the upstream did not report an end, `upstream_error` when it
   * reported a failure
   */
  end(): [Done] {
    const finish_reason = this.#finishReason ?? (this.#done ? 'stop' : undefined)
    if (!finish_reason)
      throw new ProviderError({ code: 'upstream_truncated', message: 'The upstream ended in mid-stream.' })
    if (finish_reason === 'error')
      throw new ProviderError({ code: 'upstream_error', message: 'The upstream broke off its answer.' })
    const usage = this.#usage && { usage: boundUsage(this.#usage) }
    return [{ type: 'done', finish_reason, ...usage, ...(this.#model !== undefined && { model: this.#model }) }]
  }

  #readChoice(choice: Fields, deltas: Delta[]): void {
    const index = readIndex(choice.index)
    const source = isGiven(choice.delta) ? requireRecord(choice.delta) : {}
    const delta: Delta = index === 0 ? { type: 'delta' } : { type: 'delta', index }
    if (source.role === 'assistant' && !this.#rolesTold.has(index)) {
      this.#rolesTold.add(index)
      delta.role = 'assistant'
    }
    const { content, reasoning, others } = readContent(source)
    if (content) delta.content = content
    if (reasoning) delta.reasoning = reasoning
    if (typeof source.refusal === 'string' && source.refusal) delta.refusal = source.refusal
    const calls = this.#toolCalls.read(index, source.tool_calls)
    if (calls.length > 0) delta.tool_calls = calls
    let ofChoice = otherFields(choice, CHOICE_FIELDS)
    let ofDelta = otherFields(source, DELTA_FIELDS)
    if (others.length > 0) ofDelta = { ...ofDelta, content_parts: others }
    if (typeof choice.finish_reason === 'string' && choice.finish_reason) {
      const known = FINISH_REASONS.get(choice.finish_reason)
      // `done` has the first choice's finish reason. Unknown reasons, and those of other choices, are carried.
      if (index === 0) this.#finishReason = known ?? 'stop'
      if (index !== 0 || !known) ofChoice = { ...ofChoice, finish_reason: choice.finish_reason }
    }
    const openai: OpenAICarried = {}
    if (ofChoice) openai.choice = this.#checkNames(ofChoice)
    if (ofDelta) openai.delta = this.#checkNames(ofDelta)
    if (ofChoice || ofDelta) delta.carried = { openai }
    if (Object.keys(delta).length > (index === 0 ? 1 : 2)) deltas.push(delta)
  }

  #changed(chunk: Fields): Record<string, unknown> | undefined {
    const fields = otherFields(chunk, CHUNK_FIELDS)
    if (!fields) return undefined
    let changed: Record<string, unknown> | undefined
    for (const [name, value] of Object.entries(this.#checkNames(fields))) {
      const told = this.#told.get(name)
      if (FIXED_FIELDS.has(name) && (told !== undefined || !value)) continue
      if (isDeepStrictEqual(told, value)) continue
      this.#told.set(name, value)
      changed ??= {}
      setField(changed, name, value)
    }
    return changed
  }

  /** Limits distinct names: collectors keep one field per name and level. */
  #checkNames(fields: Record<string, unknown>): Record<string, unknown> {
    for (const name of Object.keys(fields)) this.#names.add(name)
    if (this.#names.size > MAX_NAMES) throw sentOverLimit(`more than ${MAX_NAMES} different fields`)
    return fields
  }
}

function isNothingButContent(delta: Delta): delta is Delta & { content: string } {
  return delta.content !== undefined && Object.keys(delta).length === 2
}

/** Limits the index, since state is kept per choice. */
function readIndex(value: unknown): number {
  if (!isGiven(value)) return 0
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < MAX_CHOICES) return value
  throw sentOverLimit(`a choice whose index is not an integer from 0 to ${MAX_CHOICES - 1}`)
}

function otherFields(fields: Fields, known: ReadonlySet<string>): Record<string, unknown> | undefined {
  let others: Record<string, unknown> | undefined
  for (const name in fields) {
    if (known.has(name) || !isGiven(fields[name])) continue
    others ??= {}
    setField(others, name, fields[name])
  }
  return others
}

interface Content {
  content: string
  reasoning: string
  /** Parts of other kinds. */
  others: Fields[]
}

/** Content is a string, or (Mistral) a list of parts, some of which are thoughts. Reasoning has two field names. */
function readContent({ content, reasoning_content, reasoning }: Fields): Content {
  const read: Content = { content: '', reasoning: '', others: [] }
  if (typeof content === 'string') read.content = content
  else if (Array.isArray(content)) for (const part of content) readPart(requireRecord(part), read)
  else if (isGiven(content)) throw sentInvalid('content that is no text')
  if (typeof reasoning_content === 'string' && reasoning_content) read.reasoning += reasoning_content
  else if (typeof reasoning === 'string') read.reasoning += reasoning
  return read
}

function readPart(part: Fields, into: Content): void {
  if (typeof part.text === 'string') into.content += part.text
  else if (typeof part.thinking === 'string') into.reasoning += part.thinking
  else if (Array.isArray(part.thinking)) {
    for (const thought of part.thinking) {
      const { text } = requireRecord(thought)
      if (typeof text === 'string') into.reasoning += text
    }
  } else into.others.push(part)
}

function readUsage(value: unknown): Usage | undefined {
  const { data: usage } = usageSchema.safeParse(value)
  if (!usage) return undefined
  return Object.assign(usage, { total_tokens: usage.total_tokens ?? usage.prompt_tokens + usage.completion_tokens })
}

function upstreamError(value: unknown): ProviderError {
  const { message, code } = errorSchema.catch({ message: 'The upstream failed.', code: undefined }).parse(value)
  const status = code === 'invalid_api_key' ? 401 : Number(code)
  if (!(status >= 400 && status < 600)) return new ProviderError({ code: 'upstream_error', message })
  const ours = codeForStatus(status)
  // The upstream's message about the key may quote part of it.
  return new ProviderError({ code: ours, message: ours === 'upstream_auth' ? 'The upstream failed.' : message })
}
