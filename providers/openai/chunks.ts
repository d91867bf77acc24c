import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { isRecord, setField, type Fields } from '../../src/json.ts'
import type { FinishReason } from '../../src/stream/events.ts'
import { ChunkTemplate } from './chunk-template.ts'
import {
  boundUsage,
  isModel,
  MAX_CHOICES,
  isGiven,
  parseRecord,
  parseValue,
  requireRecord,
} from '../received-fields.ts'
import { ToolCallReader } from './tool-calls.ts'
import { ProviderError, type Delta, type Done, type Usage } from '../provider.ts'
import { REASONING_FIELDS, ruleOfChoices, type OpenAICarried } from '../../src/wires/openai.ts'
import { findError, upstreamFailure } from '../error-objects.ts'
import { sentInvalid, sentOverLimit } from '../upstream-errors.ts'

/** Maximum distinct names of unmodelled fields; real servers use about a dozen. */
const MAX_NAMES = 256

/** Chunk fields that are not carried: they are modelled, or padding (`obfuscation`, Mistral's `p`). */
const CHUNK_FIELDS = new Set(['choices', 'usage', 'error', 'obfuscation', 'p'])
/** Carried when first given and, if some server changes them with every chunk, with `done`: they hinder merging. */
const FIXED_FIELDS = new Set(['id', 'created', 'model'])
/** Perplexity repeats the whole answer so far as the `message` beside each delta. */
const CHOICE_FIELDS = new Set(['index', 'delta', 'message', 'finish_reason'])
const DELTA_FIELDS = new Set([
  'role',
  'content',
  'reasoning_content',
  'reasoning',
  'refusal',
  'tool_calls',
  'function_call',
])

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

/** Some servers send null for a count that they do not know. */
const tokenCount = z
  .number()
  .int()
  .nonnegative()
  .nullish()
  .transform((count) => count ?? undefined)

const usageSchema = z.looseObject({
  prompt_tokens: tokenCount,
  completion_tokens: tokenCount,
  total_tokens: tokenCount,
})

/**
 * Reads the `data` of one Chat Completions stream into deltas and a final `done`. Lenient about fields that servers
 * omit or add; strict about data loss: nothing is dropped silently.
 */
export class ChunkReader {
  readonly wire = 'openai'
  /** How the first choice ended, and in the upstream's words. */
  #finishReason: FinishReason | undefined
  #finishWord: string | undefined
  #usage: Usage | undefined
  #model: string | undefined
  #done = false
  readonly #template = new ChunkTemplate()
  /** Fields that repeat on every chunk, with the last value carried: only changes are carried. */
  readonly #told = new Map<string, unknown>([['object', 'chat.completion.chunk']])
  /** The last values of `FIXED_FIELDS`. */
  readonly #latest = new Map<string, unknown>()
  /** Names of all unmodelled fields so far. */
  readonly #names = new Set<string>()
  readonly #begun = new Set<number>()
  readonly #rolesTold = new Set<number>()
  /** Index and name of each field of a choice that has a value. Bounded: both are. */
  readonly #valuesOfChoices = new Set<string>()
  /** Choices whose first chunk had no content, while they have none. */
  readonly #withoutContent = new Set<number>()
  #reasoningFields: readonly string[] = [REASONING_FIELDS[0]]
  readonly #toolCalls = new ToolCallReader()

  /** `[DONE]` was read. */
  get finished(): boolean {
    return this.#done
  }

  /** @throws ProviderError `upstream_invalid_response`, or the error that the upstream sent in its stream. */
  read(data: string, event?: string): Delta[] {
    const text = this.#template.match(data)
    if (text !== undefined) return text === '' ? [] : [{ type: 'delta', content: text }]
    const trimmed = data.trim()
    if (trimmed === '[DONE]') {
      this.#done = true
      return []
    }
    // Some servers send an empty `data:` as a heartbeat.
    if (trimmed === '') return []
    if (event === 'error') throw this.#failure(findError(parseValue(data)) ?? { message: trimmed })
    const chunk = parseRecord(data)
    const deltas = this.readChunk(chunk)
    const [only] = deltas
    if (deltas.length === 1 && only && isNothingButContent(only) && !isGiven(chunk.usage) && !this.#finishReason)
      this.#template.learn(data, only.content)
    return deltas
  }

  /** Reads a chunk, or a whole completion, whose choices have a `message` in place of a `delta`. */
  readChunk(chunk: Fields): Delta[] {
    const { choices } = chunk
    const error = isGiven(chunk.error) || !Array.isArray(choices) ? findError(chunk) : undefined
    // Errors may come beside the last usage.
    this.#readUsage(chunk.usage)
    // Groq sends it here, unless asked for the standard field.
    if (isRecord(chunk.x_groq)) this.#readUsage(chunk.x_groq.usage)
    if (error) throw this.#failure(error)
    if (isModel(chunk.model) && chunk.model !== this.#model) {
      this.#model = chunk.model
      this.#template.forget()
    }
    const deltas: Delta[] = []
    if (Array.isArray(choices)) for (const choice of choices) this.#readChoice(requireRecord(choice), deltas)
    const changed = this.#changed(chunk)
    if (changed) {
      const first = deltas[0]
      if (first) first.carried = { openai: { chunk: changed, ...first.carried?.openai } }
      else deltas.push({ type: 'delta', carried: { openai: { chunk: changed } } })
      this.#template.forget()
    }
    return deltas
  }

  readWhole(body: Fields): Delta[] | undefined {
    return Array.isArray(body.choices) ? this.readChunk(body) : undefined
  }

  /**
   * Returns the last events, with `done`. Call it after the upstream's last message.
   * @throws ProviderError `upstream_truncated` when the upstream did not report how its answer ended (`[DONE]` alone
   * does not say it: SDKs raise), `upstream_error` when it reported a failure
   */
  end(): [...Delta[], Done] {
    const finish_reason = this.#finishReason
    const usage = this.#boundUsage()
    if (!finish_reason) {
      const message = this.#done
        ? 'The upstream did not say how its answer ended.'
        : 'The upstream ended in mid-stream.'
      throw new ProviderError({ code: 'upstream_truncated', message, ...usage })
    }
    if (finish_reason === 'error')
      throw new ProviderError({ code: 'upstream_error', message: 'The upstream broke off its answer.', ...usage })
    const calls = this.#toolCalls
      .end()
      .map(([index, tool_calls]): Delta => ({ type: 'delta', ...(index !== 0 && { index }), tool_calls }))
    const changed = [...this.#latest].filter(([name, value]) => value !== this.#told.get(name))
    return [
      ...calls,
      {
        type: 'done',
        finish_reason,
        ...usage,
        ...(this.#model !== undefined && { model: this.#model }),
        ...(changed.length > 0 && { carried: { openai: { chunk: Object.fromEntries(changed) } } }),
      },
    ]
  }

  #readUsage(value: unknown): void {
    if (isGiven(value)) this.#usage = readUsage(value) ?? this.#usage
  }

  #boundUsage(): Pick<Done, 'usage'> {
    return this.#usage ? { usage: boundUsage(this.#usage) } : {}
  }

  #failure(error: Fields): ProviderError {
    return upstreamFailure({ error, wire: 'openai', finishReason: this.#finishWord, ...this.#boundUsage() })
  }

  #readChoice(choice: Fields, deltas: Delta[]): void {
    const index = readIndex(choice.index)
    const source = readSource(choice)
    const delta: Delta = index === 0 ? { type: 'delta' } : { type: 'delta', index }
    const isFirst = !this.#begun.has(index)
    this.#begun.add(index)
    if (source.role === 'assistant' && !this.#rolesTold.has(index)) {
      this.#rolesTold.add(index)
      delta.role = 'assistant'
    }
    const { content, reasoning } = readContent(source)
    if (content) delta.content = content
    if (reasoning) delta.reasoning = reasoning
    if (typeof source.refusal === 'string' && source.refusal) delta.refusal = source.refusal
    const calls = [
      ...this.#toolCalls.read(index, source.tool_calls),
      ...this.#toolCalls.readLegacy(index, source.function_call),
    ]
    if (calls.length > 0) delta.tool_calls = calls
    const openai: OpenAICarried = {}
    if (reasoning) this.#nameReasoning(source, openai)
    const ofChoice = this.#otherFieldsOfChoice(choice, index)
    if (ofChoice) openai.choice = this.#checkNames(ofChoice)
    const ofDelta = otherFields(source, DELTA_FIELDS)
    if (ofDelta) openai.delta = this.#checkNames(ofDelta)
    // Clients of this wire get the parts as they came.
    if (Array.isArray(source.content)) openai.delta = { ...openai.delta, content: source.content }
    const empty = this.#emptyContent(source, index, isFirst)
    if (empty !== undefined) openai.delta = { content: empty, ...openai.delta }
    this.#readFinish(choice, index, openai)
    if (Object.keys(openai).length > 0) delta.carried = { openai }
    if (Object.keys(delta).length > (index === 0 ? 1 : 2)) deltas.push(delta)
  }

  /** Null after a value counts: SDKs take the last (OpenRouter's `native_finish_reason`). */
  #otherFieldsOfChoice(choice: Fields, index: number): Fields | undefined {
    let fields = otherFields(choice, CHOICE_FIELDS)
    for (const name in choice) {
      if (CHOICE_FIELDS.has(name) || ruleOfChoices(name)) continue
      const key = `${index} ${name}`
      if (isGiven(choice[name])) this.#valuesOfChoices.add(key)
      else if (this.#valuesOfChoices.delete(key)) setField((fields ??= {}), name, null)
    }
    return fields
  }

  /** SDKs tell no content from empty content: null in the first chunk of a choice, and the first empty text after it. */
  #emptyContent({ role, content }: Fields, index: number, isFirst: boolean): '' | null | undefined {
    if (isFirst && role === undefined) return content === '' ? '' : undefined
    if (isFirst && !isGiven(content)) {
      this.#withoutContent.add(index)
      return null
    }
    return this.#withoutContent.size > 0 && isGiven(content) && this.#withoutContent.delete(index) && content === ''
      ? ''
      : undefined
  }

  #readFinish(choice: Fields, index: number, openai: OpenAICarried): void {
    // Moonshot sends the usage here.
    this.#readUsage(choice.usage)
    if (isGiven(choice.error)) throw this.#failure(findError(choice) ?? {})
    const { finish_reason } = choice
    if (typeof finish_reason !== 'string' || !finish_reason) return
    const known = FINISH_REASONS.get(finish_reason)
    // `done` has the first choice's finish reason. Other words, and the reasons of other choices, are carried.
    if (index === 0) {
      this.#finishReason = known ?? 'stop'
      this.#finishWord = finish_reason
    }
    if (index !== 0 || known !== finish_reason) openai.choice = { ...openai.choice, finish_reason }
  }

  /** Tells under which names the upstream sends its reasoning, when they change. */
  #nameReasoning(source: Fields, openai: OpenAICarried): void {
    const names = REASONING_FIELDS.filter((name) => typeof source[name] === 'string' && source[name] !== '')
    if (names.length === 0 || isDeepStrictEqual(names, this.#reasoningFields)) return
    this.#reasoningFields = names
    openai.reasoning_fields = [...names]
  }

  #changed(chunk: Fields): Record<string, unknown> | undefined {
    const fields = otherFields(chunk, CHUNK_FIELDS)
    if (!fields) return undefined
    let changed: Record<string, unknown> | undefined
    for (const [name, value] of Object.entries(this.#checkNames(fields))) {
      const told = this.#told.get(name)
      if (FIXED_FIELDS.has(name)) {
        if (isShort(value)) this.#latest.set(name, value)
        // Azure sends an empty id, model and time before the first choice.
        if (told || (told !== undefined && !value)) continue
      }
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

/** `done` is appended even to a full log. */
function isShort(value: unknown): boolean {
  return typeof value === 'number' || (typeof value === 'string' && value.length <= 256)
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

function otherFields(fields: Fields, known: ReadonlySet<string>): Fields | undefined {
  let others: Fields | undefined
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
}

/** The delta of a choice, or its message when the completion is whole. */
function readSource({ delta, message }: Fields): Fields {
  const source = isGiven(delta) ? delta : message
  return isGiven(source) ? requireRecord(source) : {}
}

/** Content is a string, or (Mistral) a list of parts, some of which are thoughts. Reasoning has two field names. */
function readContent({ content, reasoning_content, reasoning }: Fields): Content {
  const read: Content = { content: '', reasoning: '' }
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
  }
}

function readUsage(value: unknown): Usage | undefined {
  const { data: usage } = usageSchema.safeParse(value)
  if (!usage || (usage.prompt_tokens === undefined && usage.total_tokens === undefined)) return undefined
  const { prompt_tokens = 0, completion_tokens = 0, total_tokens = prompt_tokens + completion_tokens } = usage
  return Object.assign(usage, { prompt_tokens, completion_tokens, total_tokens })
}
