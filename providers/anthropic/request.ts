import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { ChatRequest } from '../../src/chat-request.ts'
import { inexpressible, toTurns } from './turns.ts'
import { isRecord, recordOrEmpty, type Fields } from '../../src/json.ts'
import { hasFunctions, toTools, toToolChoice as toFunctionChoice } from './legacy-functions.ts'

/**
 * Parameters that the Messages API lacks and that change what an answer is, with the value that asks for its default
 * behaviour. Any other value is refused.
 * https://platform.openai.com/docs/api-reference/chat/create
 */
const ESSENTIAL: Fields = {
  n: 1,
  logprobs: false,
  top_logprobs: 0,
  modalities: ['text'],
  audio: undefined,
  web_search_options: undefined,
}

/** Parameters that the Messages API lacks and that only advise: any other value is left out, and the client told so. */
const ADVISORY: Fields = {
  seed: undefined,
  frequency_penalty: 0,
  presence_penalty: 0,
  repetition_penalty: 1,
  min_p: 0,
  logit_bias: {},
  prediction: undefined,
  store: false,
  verbosity: 'medium',
  prompt_cache_key: undefined,
  prompt_cache_options: undefined,
  prompt_cache_retention: undefined,
  safety_identifier: undefined,
}

/** Parameters that are translated, or are meant for the gateway only. */
const TRANSLATED = new Set([
  ...Object.keys(ESSENTIAL),
  ...Object.keys(ADVISORY),
  'messages',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'functions',
  'function_call',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'user',
  'metadata',
  'response_format',
  'reasoning_effort',
  'service_tier',
  'stream',
  'stream_options',
  'mock',
])

const SERVICE_TIERS: ReadonlySet<unknown> = new Set(['auto', 'standard_only'])

/** Instead of a schema: the API closes objects in a schema, so that the only JSON of any object would be `{}`. */
const JSON_OBJECT = 'Answer with one JSON object and nothing else: no words around it, no code fence.'

/**
 * The body of `POST /v1/messages`, and the names of the parameters that are left out. Unknown fields are passed on
 * unchanged; the API validates them.
 *
 * @param maxTokens the limit when the request has none
 * @throws SluiceError `invalid_request`, with the path of a field that the Messages API cannot express
 * https://platform.claude.com/docs/en/api/messages
 */
export function convertRequest(request: ChatRequest, maxTokens: number): { body: Fields; ignored: string[] } {
  const [essential] = lacking(request, ESSENTIAL)
  if (essential !== undefined) throw inexpressible(essential)
  const { reasoning_effort, service_tier, thinking } = request
  const { metadata, isWhole } = toMetadata(request)
  const ignored = lacking(request, ADVISORY)
  const isTier = SERVICE_TIERS.has(service_tier)
  if (isGiven(service_tier) && !isTier) ignored.push('service_tier')
  if (reasoning_effort === 'minimal' || (reasoning_effort === 'none' && isGiven(thinking)))
    ignored.push('reasoning_effort')
  if (!isWhole) ignored.push('metadata')
  const { system, turns } = toTurns(request.messages)
  if (request.response_format?.type === 'json_object') system.push({ type: 'text', text: JSON_OBJECT })
  const stop = typeof request.stop === 'string' ? [request.stop] : request.stop
  const tools = toTools(request)
  if (!tools) throw inexpressible('functions')
  const body = {
    ...untranslated(request),
    max_tokens: request.max_completion_tokens ?? request.max_tokens ?? maxTokens,
    ...(system.length > 0 && { system }),
    messages: turns,
    ...((request.tools || tools.length > 0) && { tools: tools.map((tool, i) => toTool(tool, `tools[${i}]`)) }),
    ...toToolChoice(request),
    ...(stop && { stop_sequences: stop }),
    ...(metadata && { metadata }),
    ...(isTier && { service_tier }),
    // Efforts begin at `low`.
    ...(reasoning_effort === 'none' && !isGiven(thinking) && { thinking: { type: 'disabled' } }),
    ...toOutputConfig(request),
    stream: true,
  }
  return { body, ignored }
}

/** Names of the parameters that ask for something else than the defaults. */
function lacking(request: ChatRequest, defaults: Fields): string[] {
  return Object.entries(defaults)
    .filter(([name, neutral]) => isGiven(request[name]) && !isDeepStrictEqual(request[name], neutral))
    .map(([name]) => name)
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

/** The API knows no key but `user_id`, and refuses others. */
function toMetadata({ user, metadata }: ChatRequest): { metadata?: Fields; isWhole: boolean } {
  const { user_id = user, ...others } = metadata ?? {}
  return { ...(isGiven(user_id) && { metadata: { user_id } }), isWhole: Object.keys(others).length === 0 }
}

function untranslated(request: ChatRequest): Fields {
  return Object.fromEntries(
    Object.entries(request).filter(([name, value]) => !TRANSLATED.has(name) && value !== null && value !== undefined),
  )
}

type Tool = NonNullable<ChatRequest['tools']>[number]

/** Tools without a function are Anthropic's own and stay as they are. */
function toTool(tool: Tool, path: string): Fields {
  const { type, function: called, custom, ...rest } = tool
  if (type === 'custom' && isRecord(custom)) return { ...toCustomTool(custom, path), ...rest }
  if (!called) {
    if (type === 'function' || custom !== undefined) throw inexpressible(path)
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

/** A tool whose input is free text gets it in a field. A grammar becomes part of the description. */
function toCustomTool({ name, description, format }: Fields, path: string): Fields {
  if (typeof name !== 'string') throw inexpressible(`${path}.custom.name`)
  const { syntax, definition } = recordOrEmpty(recordOrEmpty(format).grammar)
  const grammar = typeof definition === 'string' && `The input matches this grammar (${String(syntax)}):\n${definition}`
  const words = [description, grammar].filter((part) => typeof part === 'string')
  return {
    name,
    ...(words.length > 0 && { description: words.join('\n\n') }),
    input_schema: { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] },
  }
}

function toToolChoice(request: ChatRequest): Fields {
  const legacy = hasFunctions(request)
  // A client of functions reads one call of an answer.
  const serial = request.parallel_tool_calls === false || legacy
  const tool_choice = request.tool_choice ?? (legacy ? toFunctionChoice(request.function_call) : undefined)
  if (tool_choice === undefined && !serial) return {}
  const choice = readToolChoice(tool_choice ?? 'auto')
  return { tool_choice: serial && choice.type !== 'none' ? { ...choice, disable_parallel_tool_use: true } : choice }
}

const namedTool = z.union([
  z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
  z.object({ type: z.literal('custom'), custom: z.object({ name: z.string() }) }),
])

function readToolChoice(choice: NonNullable<ChatRequest['tool_choice']>): Fields {
  switch (choice) {
    case 'auto':
    case 'none':
      return { type: choice }
    case 'required':
      return { type: 'any' }
  }
  const { data: named } = namedTool.safeParse(choice)
  if (!named) throw inexpressible('tool_choice')
  return { type: 'tool', name: named.type === 'function' ? named.function.name : named.custom.name }
}

/** https://platform.claude.com/docs/en/build-with-claude/structured-outputs and …/effort */
function toOutputConfig({ response_format, reasoning_effort, output_config }: ChatRequest): Fields {
  const format = toFormat(response_format)
  const effort = reasoning_effort === 'none' || reasoning_effort === 'minimal' ? undefined : reasoning_effort
  const config = { ...(effort && { effort }), ...(format && { format }) }
  if (Object.keys(config).length === 0) return {}
  return { output_config: { ...(typeof output_config === 'object' ? output_config : undefined), ...config } }
}

const jsonSchema = z.object({
  description: z.string().optional(),
  schema: z.record(z.string(), z.unknown()),
})

/** Drops the schema's name, which is only a label, and `strict`, since Anthropic is always strict. */
function toFormat(format: ChatRequest['response_format']): Fields | undefined {
  if (!format || format.type === 'text' || format.type === 'json_object') return undefined
  if (format.type !== 'json_schema') throw inexpressible('response_format')
  const parsed = jsonSchema.safeParse(format.json_schema)
  if (!parsed.success) throw inexpressible('response_format.json_schema')
  const { description, schema } = parsed.data
  return { type: 'json_schema', schema: { ...(description !== undefined && { description }), ...schema } }
}
