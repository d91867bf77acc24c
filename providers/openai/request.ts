import { createHash } from 'node:crypto'
import type { ChatRequest } from '../../src/chat-request.ts'
import { invalidField, SluiceError } from '../../src/errors.ts'
import type { Fields } from '../../src/json.ts'
import { isGiven } from '../received-fields.ts'
import { toConversation } from './conversation.ts'
import { toEffort } from './effort.ts'
import { inexpressible } from './inexpressible.ts'
import { toChatContent } from './parts.ts'
import type { Server } from './servers.ts'
import { checkTools, toTools } from './tools.ts'

/** Parameters of the Messages API that change what an answer is or where it is made. */
const ESSENTIAL = ['container', 'mcp_servers', 'inference_geo'] as const

/** Parameters of the Messages API that only advise. */
const ADVISORY = [
  'billing_policy',
  'compaction',
  'context_management',
  'diagnostics',
  'fallback_credit_token',
  'fallbacks',
  'output_config',
  'speed',
  'user_profile_id',
  'workspace_id',
] as const

/** What is translated, or a hint for Anthropic alone. */
const REPLACED = [
  'cache_control',
  'thinking',
  'reasoning_effort',
  'thread',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
] as const

/** Sampling parameters that other servers have, and OpenAI refuses. */
const SAMPLING = ['top_k', 'top_a', 'min_p', 'repetition_penalty'] as const

/** OpenAI's limits. */
const MAX_IDENTIFIER = 64
const MAX_PAIRS = 16
const MAX_VALUE = 512
const MAX_STOPS = 4

/** The names of the parameters that are left out. @throws SluiceError like `convertRequest` */
export function checkRequest(request: ChatRequest, server: Server): string[] {
  if (isGiven(request.thread)) throw threadUnsupported()
  for (const name of ESSENTIAL) if (isGiven(request[name]) && !isEmpty(request[name])) throw inexpressible(name)
  checkTools(request)
  if (server.openai && Array.isArray(request.stop) && request.stop.length > MAX_STOPS)
    throw invalidField('invalid_request', 'stop', `OpenAI takes at most ${MAX_STOPS}`)
  for (const [i, message] of request.messages.entries()) toChatContent(message, `messages[${i}].content`, server)
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
  for (const name of [...ignored, ...ESSENTIAL, ...REPLACED]) delete converted[name]
  Object.assign(converted, shortened(request), toEffort(request, server).fields, toTools(request))
  converted.messages = toConversation(request, server)
  if (isEmpty(request.stop)) delete converted.stop
  return converted
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
export function isWithinLimits(metadata: ChatRequest['metadata']): boolean {
  const pairs = Object.entries(metadata ?? {})
  return (
    pairs.length <= MAX_PAIRS &&
    pairs.every(
      ([name, value]) => name.length <= MAX_IDENTIFIER && typeof value === 'string' && value.length <= MAX_VALUE,
    )
  )
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
