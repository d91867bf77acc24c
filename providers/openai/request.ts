import { createHash } from 'node:crypto'
import type { ChatRequest } from '../../src/chat-request.ts'
import { invalidField, SluiceError } from '../../src/errors.ts'
import { isRecord, type Fields } from '../../src/json.ts'
import { toConversation } from './conversation.ts'
import { isWithoutReasoning, type Server } from './servers.ts'

/** Parameters of the Messages API that change what an answer is or where it is made. */
const ESSENTIAL = ['container', 'mcp_servers', 'inference_geo'] as const

/** Parameters of the Messages API that only advise. */
const ADVISORY = [
  'context_management',
  'diagnostics',
  'fallbacks',
  'output_config',
  'speed',
  'user_profile_id',
  'workspace_id',
] as const

/** Sampling parameters that other servers have, and OpenAI refuses. */
const SAMPLING = ['top_k', 'top_a', 'min_p', 'repetition_penalty'] as const

/** OpenAI's limits. */
const MAX_IDENTIFIER = 64
const MAX_PAIRS = 16
const MAX_VALUE = 512

type Tool = NonNullable<ChatRequest['tools']>[number]

/** The names of the parameters that are left out. @throws SluiceError like `convertRequest`, for parameters */
export function checkRequest(request: ChatRequest, server: Server): string[] {
  if (isGiven(request.thread)) throw threadUnsupported()
  for (const name of ESSENTIAL) if (isGiven(request[name]) && !isEmpty(request[name])) throw inexpressible(name)
  for (const [i, { type }] of request.tools?.entries() ?? [])
    if (isAnthropicTool(type)) throw inexpressible(`tools[${i}]`)
  const { ignored } = toEffort(request, server)
  return [
    ...ADVISORY.filter((name) => isGiven(request[name])),
    ...SAMPLING.filter((name) => !server.sampling && isGiven(request[name])),
    ...(request.service_tier === 'standard_only' ? ['service_tier'] : []),
    ...(server.openai && !isWithinLimits(request.metadata) ? ['metadata'] : []),
    ...(ignored === undefined ? [] : [ignored]),
  ]
}

/**
 * A request as the server understands it. Removes without a word what only Anthropic reads and does not affect the
 * answer, such as prompt cache hints.
 *
 * @throws SluiceError `invalid_request`, with the path of a field that Chat Completions cannot express
 */
export function convertRequest(request: ChatRequest, server: Server): ChatRequest {
  const ignored = checkRequest(request, server)
  // One copy, since a request may have tens of thousands of fields.
  const converted: ChatRequest = { ...request }
  for (const name of [...ignored, ...ESSENTIAL, 'cache_control', 'thinking', 'reasoning_effort', 'thread'])
    delete converted[name]
  Object.assign(converted, shortened(request), toEffort(request, server).fields)
  converted.messages = toConversation(request, server)
  if (request.tools) converted.tools = request.tools.map(toChatTool)
  return converted
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0
}

/** Claude Code's ids of users are longer than OpenAI takes. A digest still tells users apart. */
function shortened(request: ChatRequest): Fields {
  const long: Fields = {}
  for (const name of ['user', 'safety_identifier', 'prompt_cache_key'] as const) {
    const value = request[name]
    if (typeof value === 'string' && value.length > MAX_IDENTIFIER)
      long[name] = createHash('sha256').update(value).digest('hex')
  }
  return long
}

/** https://platform.openai.com/docs/api-reference/chat/create (`metadata`) */
function isWithinLimits(metadata: ChatRequest['metadata']): boolean {
  const pairs = Object.entries(metadata ?? {})
  return (
    pairs.length <= MAX_PAIRS &&
    pairs.every(
      ([name, value]) => name.length <= MAX_IDENTIFIER && typeof value === 'string' && value.length <= MAX_VALUE,
    )
  )
}

interface Effort {
  fields: Fields
  ignored?: string
}

/** How much to think: Anthropic's `thinking` has a budget of tokens, which an effort stands for. */
function toEffort({ thinking, reasoning_effort, model }: ChatRequest, server: Server): Effort {
  const isRefused = server.thinking === 'effort of reasoning models' && isWithoutReasoning(model)
  const fields = toSwitch(thinking, server)
  if (isGiven(reasoning_effort)) {
    if (isRefused) return { fields, ignored: 'reasoning_effort' }
    // Anthropic's word.
    return { fields: { ...fields, reasoning_effort: reasoning_effort === 'max' ? 'high' : reasoning_effort } }
  }
  if (!isRecord(thinking) || thinking.type === 'disabled' || fields.thinking) return { fields }
  const { budget_tokens } = thinking
  if (typeof budget_tokens !== 'number' || server.thinking === 'none' || isRefused)
    return { fields, ignored: 'thinking' }
  return { fields: { reasoning_effort: effortOf(budget_tokens) } }
}

/** Some servers have the same switch as Anthropic, but without a budget. */
function toSwitch(thinking: unknown, server: Server): Fields {
  if (!isRecord(thinking)) return {}
  const { type, budget_tokens } = thinking
  if (server.thinking === 'switch') return { thinking: { type: type === 'disabled' ? 'disabled' : 'enabled' } }
  return type === 'enabled' && budget_tokens === undefined && server.sampling ? { thinking } : {}
}

function effortOf(budget: number): string {
  if (budget < 4096) return 'low'
  return budget < 16_384 ? 'medium' : 'high'
}

/** Anthropic's own tools have a date in their type: `web_search_20250305`. */
function isAnthropicTool(type: string): boolean {
  return /_\d{8}$/.test(type)
}

function toChatTool({ cache_control: _, eager_input_streaming: _eager, ...tool }: Tool): Tool {
  return tool
}

function inexpressible(path: string): SluiceError {
  return invalidField('invalid_request', path, 'cannot be expressed in Chat Completions')
}

/** Anthropic keeps the messages of a thread. Told this code, its SDK sends the whole conversation. */
function threadUnsupported(): SluiceError {
  const message = 'thread: only Anthropic keeps the messages of a thread; send the whole conversation'
  const error = { type: 'invalid_request_error', message, details: { error_code: 'thread_unsupported_request' } }
  return new SluiceError('invalid_request', message, {
    faults: [{ path: 'thread', message: 'is not supported by this model' }],
    carried: { anthropic: { error } },
  })
}
