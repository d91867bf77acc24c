import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { ChatRequest } from '../../src/chat-request.ts'
import { inexpressible, toTurns } from './turns.ts'
import type { Fields } from '../../src/json.ts'

/**
 * Parameters that the Messages API lacks, with the value that asks for its default behaviour.
 * https://platform.openai.com/docs/api-reference/chat/create
 */
const WITHOUT_COUNTERPART: Readonly<Record<string, unknown>> = {
  n: 1,
  seed: undefined,
  frequency_penalty: 0,
  presence_penalty: 0,
  logit_bias: {},
  logprobs: false,
  top_logprobs: 0,
  modalities: ['text'],
  audio: undefined,
  prediction: undefined,
  store: false,
  verbosity: 'medium',
  web_search_options: undefined,
  functions: [],
  function_call: undefined,
  prompt_cache_key: undefined,
  prompt_cache_retention: undefined,
  safety_identifier: undefined,
}

/** Parameters that are translated, or are meant for the gateway only. */
const TRANSLATED = new Set([
  ...Object.keys(WITHOUT_COUNTERPART),
  'messages',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'user',
  'response_format',
  'reasoning_effort',
  'stream',
  'stream_options',
  'mock',
])

/**
 * The body of `POST /v1/messages`. Unknown fields are passed on unchanged; the API validates them.
 *
 * @param maxTokens the limit when the request has none
 * @throws SluiceError `invalid_request`, with the path of a field that the Messages API cannot express
 * https://platform.claude.com/docs/en/api/messages
 */
export function toBody(request: ChatRequest, maxTokens: number): Fields {
  for (const [name, neutral] of Object.entries(WITHOUT_COUNTERPART)) {
    const value = request[name]
    if (value !== undefined && value !== null && !isDeepStrictEqual(value, neutral)) throw inexpressible(name)
  }
  const { system, turns } = toTurns(request.messages)
  const stop = typeof request.stop === 'string' ? [request.stop] : request.stop
  return {
    ...untranslated(request),
    max_tokens: request.max_completion_tokens ?? request.max_tokens ?? maxTokens,
    ...(system.length > 0 && { system }),
    messages: turns,
    ...(request.tools && { tools: request.tools.map((tool, i) => toTool(tool, `tools[${i}]`)) }),
    ...toToolChoice(request),
    ...(stop && { stop_sequences: stop }),
    ...(request.user !== undefined && { metadata: { ...request.metadata, user_id: request.user } }),
    ...toOutputConfig(request),
    stream: true,
  }
}

function untranslated(request: ChatRequest): Fields {
  return Object.fromEntries(
    Object.entries(request).filter(([name, value]) => !TRANSLATED.has(name) && value !== null && value !== undefined),
  )
}

type Tool = NonNullable<ChatRequest['tools']>[number]

/** Tools without a function are Anthropic's own and stay as they are. */
function toTool(tool: Tool, path: string): Fields {
  const { type, function: called, ...rest } = tool
  if (!called) {
    if (type === 'function' || 'custom' in rest) throw inexpressible(path)
    return tool
  }
  const { name, description, parameters, strict, ...others } = called
  return {
    name,
    ...(description !== undefined && { description }),
    input_schema: { type: 'object', ...parameters },
    ...(typeof strict === 'boolean' && { strict }),
    ...others,
    ...rest,
  }
}

function toToolChoice({ tool_choice, parallel_tool_calls }: ChatRequest): Fields {
  const serial = parallel_tool_calls === false
  if (tool_choice === undefined && !serial) return {}
  const choice = readToolChoice(tool_choice ?? 'auto')
  return { tool_choice: serial && choice.type !== 'none' ? { ...choice, disable_parallel_tool_use: true } : choice }
}

const namedFunction = z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) })

function readToolChoice(choice: NonNullable<ChatRequest['tool_choice']>): Fields {
  switch (choice) {
    case 'auto':
    case 'none':
      return { type: choice }
    case 'required':
      return { type: 'any' }
  }
  const named = namedFunction.safeParse(choice)
  if (!named.success) throw inexpressible('tool_choice')
  return { type: 'tool', name: named.data.function.name }
}

/** https://platform.claude.com/docs/en/build-with-claude/structured-outputs and …/effort */
function toOutputConfig({ response_format, reasoning_effort, output_config }: ChatRequest): Fields {
  const format = toFormat(response_format)
  // Anthropic's efforts are `low` to `max`. To disable effort, `thinking` is used; its forms differ by model.
  if (reasoning_effort === 'none' || reasoning_effort === 'minimal') throw inexpressible('reasoning_effort')
  const config = { ...(reasoning_effort && { effort: reasoning_effort }), ...(format && { format }) }
  if (Object.keys(config).length === 0) return {}
  return { output_config: { ...(typeof output_config === 'object' ? output_config : undefined), ...config } }
}

const jsonSchema = z.object({
  description: z.string().optional(),
  schema: z.record(z.string(), z.unknown()),
})

/** Drops the schema's name, which is only a label, and `strict`, since Anthropic is always strict. */
function toFormat(format: ChatRequest['response_format']): Fields | undefined {
  if (!format || format.type === 'text') return undefined
  if (format.type !== 'json_schema') throw inexpressible('response_format')
  const parsed = jsonSchema.safeParse(format.json_schema)
  if (!parsed.success) throw inexpressible('response_format.json_schema')
  const { description, schema } = parsed.data
  return { type: 'json_schema', schema: { ...(description !== undefined && { description }), ...schema } }
}
