import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { ChatRequest } from '../../src/chat-request.ts'
import { inexpressible, isBlank } from './content.ts'
import { refusesEffort, takesInstructions } from './models.ts'
import { toTurns } from './turns.ts'
import { isRecord, type Fields } from '../../src/json.ts'
import { toTools } from './tools.ts'

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
  moderation: undefined,
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

/** Those whose messages OpenAI lets have a name. */
const SPEAKERS: ReadonlySet<string> = new Set(['system', 'developer', 'user', 'assistant'])

/** OpenAI's scale ends at 2. */
const MAX_TEMPERATURE = 1

/** Anthropic's own API and what hands requests to it; or a server that has the same API, such as llama.cpp. */
export type MessagesServer = 'anthropic' | 'other'

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
export function convertRequest(
  request: ChatRequest,
  maxTokens: number,
  server: MessagesServer = 'anthropic',
): { body: Fields; ignored: string[] } {
  const [essential] = lacking(request, ESSENTIAL)
  if (essential !== undefined) throw inexpressible(essential)
  const { reasoning_effort, service_tier, thinking } = request
  const { metadata, isWhole } = toMetadata(request)
  const ignored = lacking(request, ADVISORY)
  const isTier = SERVICE_TIERS.has(service_tier)
  if (isGiven(service_tier) && !isTier) ignored.push('service_tier')
  if (!isWhole) ignored.push('metadata')
  if (request.messages.some(({ role, name }) => name !== undefined && SPEAKERS.has(role))) ignored.push('messages.name')
  const isOwn = server === 'anthropic'
  const effort = toEffort(request)
  if (effort.isIgnored) ignored.push('reasoning_effort')
  const { temperature } = request
  const isTooHot = typeof temperature === 'number' && temperature > MAX_TEMPERATURE
  if (isTooHot) ignored.push('temperature')
  const { stops, isWhole: areStopsWhole } = toStops(request.stop)
  if (!areStopsWhole) ignored.push('stop')
  const { system, turns } = toTurns(request.messages, {
    isThread: isGiven(request.thread),
    instructions: isOwn && takesInstructions(request.model),
    // Servers of other models sign nothing.
    unsigned: !isOwn && !/claude/i.test(request.model),
  })
  if (request.response_format?.type === 'json_object') system.push({ type: 'text', text: JSON_OBJECT })
  const body = {
    ...untranslated(request),
    max_tokens: request.max_completion_tokens ?? request.max_tokens ?? maxTokens + budgetOf(thinking),
    ...(system.length > 0 && { system }),
    messages: turns,
    ...toTools(request),
    ...(stops.length > 0 && { stop_sequences: stops }),
    ...(isTooHot && { temperature: MAX_TEMPERATURE }),
    ...(metadata && { metadata }),
    ...(isTier && { service_tier }),
    ...(reasoning_effort === 'none' && !isGiven(thinking) && { thinking: { type: 'disabled' } }),
    ...toOutputConfig(request, effort.effort),
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

/** Efforts begin at `low`, and older models have none. */
function toEffort({ reasoning_effort, thinking, model }: ChatRequest): { effort?: string; isIgnored: boolean } {
  if (!reasoning_effort) return { isIgnored: false }
  if (reasoning_effort === 'none') return { isIgnored: isGiven(thinking) }
  if (reasoning_effort === 'minimal' || refusesEffort(model)) return { isIgnored: true }
  return { effort: reasoning_effort, isIgnored: false }
}

/** The limit includes the thoughts. */
function budgetOf(thinking: unknown): number {
  const budget = isRecord(thinking) ? thinking.budget_tokens : 0
  return typeof budget === 'number' ? budget : 0
}

/** The API refuses blank sequences. */
function toStops(stop: ChatRequest['stop']): { stops: string[]; isWhole: boolean } {
  const given = typeof stop === 'string' ? [stop] : (stop ?? [])
  const stops = given.filter((sequence) => !isBlank(sequence))
  return { stops, isWhole: stops.length === given.length }
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

/** https://platform.claude.com/docs/en/build-with-claude/structured-outputs and …/effort */
function toOutputConfig({ response_format, output_config }: ChatRequest, effort: string | undefined): Fields {
  const format = toFormat(response_format)
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
