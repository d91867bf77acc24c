import { isRecord, type Fields } from '../../src/json.ts'
import type { AnthropicAnswer } from './read-anthropic.ts'
import type { OpenAIAnswer } from './read-openai.ts'

/** The part of an answer that every protocol can express. */
export interface CommonAnswer {
  text: string
  /** Only Chat Completions and the native protocol have it apart from the text. */
  refusal: string
  reasoning: string
  calls: { id: unknown; name: unknown; arguments: unknown }[]
  finish: unknown
  usage: { prompt: unknown; completion: unknown } | undefined
}

export function ofOpenAI({ chunk, choices }: OpenAIAnswer): CommonAnswer {
  const { message = {}, calls = {}, choice = {} } = choices[0] ?? {}
  const parts = Array.isArray(message.content) ? message.content.filter(isRecord) : []
  return {
    text: typeof message.content === 'string' ? message.content : textOf(parts),
    refusal: textIn(message.refusal),
    reasoning: reasoningOf(message) || parts.map(({ thinking }) => textOf(thinking)).join(''),
    calls: Object.values(calls).map(toCall),
    finish: choice.finish_reason,
    usage: toUsage(usageOf(chunk)),
  }
}

/** A whole `chat.completion`. */
export function ofCompletion(completion: Fields): CommonAnswer {
  const choice = listOf(completion.choices)[0] ?? {}
  const message = isRecord(choice.message) ? choice.message : {}
  return {
    text: textIn(message.content),
    refusal: textIn(message.refusal),
    reasoning: reasoningOf(message),
    calls: listOf(message.tool_calls).map(toCall),
    finish: choice.finish_reason,
    usage: toUsage(completion.usage),
  }
}

export function ofAnthropic({ message, blocks }: AnthropicAnswer): CommonAnswer {
  return ofMessage({ ...message, content: Object.values(blocks) })
}

/** A whole `message`. */
export function ofMessage({ content, stop_reason, usage }: Fields): CommonAnswer {
  const blocks = listOf(content)
  const ofType = (type: string) => blocks.filter((block) => block.type === type)
  return {
    text: textOf(ofType('text')),
    refusal: '',
    reasoning: ofType('thinking')
      .map(({ thinking }) => textIn(thinking))
      .join(''),
    calls: ofType('tool_use').map(({ id, name, input }) => ({ id, name, arguments: input })),
    finish: FINISH_REASONS.get(stop_reason) ?? stop_reason,
    usage: isRecord(usage) ? { prompt: promptTokens(usage), completion: usage.output_tokens } : undefined,
  }
}

/** A snapshot of the native protocol. */
export function ofSnapshot({ message, finish_reason, usage }: Fields): CommonAnswer {
  const { content, refusal, reasoning, tool_calls } = isRecord(message) ? message : {}
  return {
    text: textIn(content),
    refusal: textIn(refusal),
    reasoning: textIn(reasoning),
    calls: listOf(tool_calls).map(toCall),
    finish: finish_reason,
    usage: toUsage(usage),
  }
}

/** OpenAI's names for the reasons of the Messages API. */
const FINISH_REASONS: ReadonlyMap<unknown, string> = new Map([
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['pause_turn', 'stop'],
  ['compaction', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['tool_use', 'tool_calls'],
  ['refusal', 'content_filter'],
])

/** Providers put reasoning in one of several fields, and some in two at once. */
function reasoningOf({ reasoning_content, reasoning, reasoning_details, reasoning_text }: Fields): string {
  for (const text of [reasoning_content, reasoning, reasoning_text])
    if (typeof text === 'string' && text !== '') return text
  return listOf(reasoning_details)
    .map(({ text, summary }) => textIn(text) || textIn(summary))
    .join('')
}

/** Groq sends its usage in a field of its own. */
function usageOf({ usage, x_groq }: Fields): unknown {
  return usage ?? (isRecord(x_groq) ? x_groq.usage : undefined)
}

function toUsage(usage: unknown): CommonAnswer['usage'] {
  if (!isRecord(usage)) return undefined
  return { prompt: usage.prompt_tokens, completion: usage.completion_tokens }
}

function promptTokens(usage: Fields): number {
  const counts = [usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens]
  return counts.reduce<number>((sum, count) => sum + (typeof count === 'number' ? count : 0), 0)
}

function toCall({ id, function: called }: Fields): CommonAnswer['calls'][number] {
  const { name, arguments: json } = isRecord(called) ? called : {}
  return { id, name, arguments: parsed(json) }
}

/** No arguments at all mean none are needed. */
function parsed(json: unknown): unknown {
  if (json === undefined || json === null || json === '') return {}
  if (typeof json !== 'string') return json
  try {
    return JSON.parse(json)
  } catch {
    return json
  }
}

export function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function textOf(parts: unknown): string {
  return listOf(parts)
    .map(({ text }) => textIn(text))
    .join('')
}
