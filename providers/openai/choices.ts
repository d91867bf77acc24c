import { isDeepStrictEqual } from 'node:util'
import { setField, type Fields } from '../../src/json.ts'
import type { FinishReason } from '../../src/stream/events.ts'
import { REASONING_FIELDS, ruleOfChoices, type OpenAICarried } from '../../src/wires/openai.ts'
import { finishReasonOf } from '../finish-reasons.ts'
import type { Delta } from '../provider.ts'
import { isGiven, MAX_CHOICES, requireRecord } from '../received-fields.ts'
import { sentInvalid, sentOverLimit } from '../upstream-errors.ts'
import { ToolCallReader } from './tool-calls.ts'

/** `done` is appended even to a full log. */
const MAX_WORD = 256

/** Maximum distinct names of unmodelled fields; real servers use about a dozen. */
const MAX_NAMES = 256

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

/** The names of all unmodelled fields so far. Bounded: collectors keep one field per name and level. */
export class FieldNames {
  readonly #names = new Set<string>()

  /** Returns the fields. @throws ProviderError `upstream_invalid_response` */
  check(fields: Fields): Fields {
    for (const name of Object.keys(fields)) this.#names.add(name)
    if (this.#names.size > MAX_NAMES) throw sentOverLimit(`more than ${MAX_NAMES} different fields`)
    return fields
  }
}

/** Reads the choices of chunks: each is a piece of one of the answers. */
export class ChoiceReader {
  /** How the first choice ended, and in the upstream's words. */
  finishReason: FinishReason | undefined
  finishWord: string | undefined
  readonly #names: FieldNames
  readonly #begun = new Set<number>()
  readonly #rolesTold = new Set<number>()
  /** Index and name of each field of a choice that has a value. Bounded: both are. */
  readonly #valuesOfChoices = new Set<string>()
  /** Choices whose first chunk had no content, while they have none. */
  readonly #withoutContent = new Set<number>()
  #reasoningFields: readonly string[] = [REASONING_FIELDS[0]]
  readonly #toolCalls = new ToolCallReader()

  constructor(names: FieldNames) {
    this.#names = names
  }

  /** @throws ProviderError `upstream_invalid_response` */
  read(choice: Fields): Delta | undefined {
    const index = readIndex(choice.index)
    const isFirst = !this.#begun.has(index)
    const source = readSource(choice, isFirst)
    const delta: Delta = index === 0 ? { type: 'delta' } : { type: 'delta', index }
    this.#begun.add(index)
    if (source.role === 'assistant' && !this.#rolesTold.has(index)) {
      this.#rolesTold.add(index)
      delta.role = 'assistant'
    }
    const { content, reasoning } = readContent(source)
    if (content) delta.content = content
    if (reasoning) delta.reasoning = reasoning
    if (typeof source.refusal === 'string' && source.refusal) delta.refusal = source.refusal
    const ofTools = this.#toolCalls.read(index, source.tool_calls)
    // Some servers send a call in both forms.
    const calls = ofTools.length > 0 ? ofTools : this.#toolCalls.readLegacy(index, source.function_call)
    if (calls.length > 0) delta.tool_calls = calls
    const openai: OpenAICarried = {}
    if (reasoning) this.#nameReasoning(source, openai)
    const ofChoice = this.#otherFieldsOfChoice(choice, index)
    if (ofChoice) openai.choice = this.#names.check(ofChoice)
    const ofDelta = otherFields(source, DELTA_FIELDS)
    if (ofDelta) openai.delta = this.#names.check(ofDelta)
    // Clients of this wire get the parts as they came.
    if (Array.isArray(source.content)) openai.delta = { ...openai.delta, content: source.content }
    const empty = this.#emptyContent(source, index, isFirst)
    if (empty !== undefined) openai.delta = { content: empty, ...openai.delta }
    this.readFinish(choice, index, openai)
    if (Object.keys(openai).length > 0) delta.carried = { openai }
    return Object.keys(delta).length > (index === 0 ? 1 : 2) ? delta : undefined
  }

  /** The calls that were still held at the end of the stream. */
  end(): Delta[] {
    return this.#toolCalls
      .end()
      .map(([index, tool_calls]): Delta => ({ type: 'delta', ...(index !== 0 && { index }), tool_calls }))
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

  /** SDKs distinguish null from empty content: keeps null in a choice's first chunk, and the first empty text after it. */
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

  /** Reads a finish reason. The first choice's goes into `done`, others' are carried. The last one sent counts. */
  readFinish({ finish_reason }: Fields, index: number, openai: OpenAICarried = {}): void {
    if (typeof finish_reason !== 'string' || finish_reason === '' || finish_reason === 'null') return
    if (index !== 0) openai.choice = { ...openai.choice, finish_reason }
    else {
      this.finishReason = finishReasonOf(finish_reason) ?? 'stop'
      this.finishWord = finish_reason.slice(0, MAX_WORD)
    }
  }

  /** Tells under which names the upstream sends its reasoning, when they change. */
  #nameReasoning(source: Fields, openai: OpenAICarried): void {
    const names = REASONING_FIELDS.filter((name) => typeof source[name] === 'string' && source[name] !== '')
    if (names.length === 0 || isDeepStrictEqual(names, this.#reasoningFields)) return
    this.#reasoningFields = names
    openai.reasoning_fields = [...names]
  }
}

/** Limits the index, since state is kept per choice. */
export function readIndex(value: unknown): number {
  if (!isGiven(value)) return 0
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < MAX_CHOICES) return value
  throw sentOverLimit(`a choice whose index is not an integer from 0 to ${MAX_CHOICES - 1}`)
}

/** The fields that are not known; null says nothing. */
export function otherFields(fields: Fields, known: ReadonlySet<string>): Fields | undefined {
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

/** The delta of a choice, or its message when the completion is whole. MiniMax ends a stream with the whole message. */
function readSource({ delta, message }: Fields, isFirst: boolean): Fields {
  const source = isGiven(delta) || !isFirst ? delta : message
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
  // Mistral sends thoughts as a list of texts, Databricks as a summary.
  else if (Array.isArray(part.thinking)) readThoughts(part.thinking, into)
  else if (part.type === 'reasoning' && Array.isArray(part.summary)) readThoughts(part.summary, into)
}

function readThoughts(thoughts: unknown[], into: Content): void {
  for (const thought of thoughts) {
    const { text } = requireRecord(thought)
    if (typeof text === 'string') into.reasoning += text
  }
}
