// A request of any protocol as a server of the Responses API takes it.

import { ORIGINAL, type ChatRequest } from '../../../src/chat-request.ts'
import { invalidField } from '../../../src/errors.ts'
import { isRecord, recordOrEmpty, type Fields } from '../../../src/json.ts'
import { isGiven } from '../../received-fields.ts'
import { ENCRYPTED } from '../adaptations.ts'
import { checkRequest, convertRequest, isWithinLimits } from '../request.ts'
import { isWithoutReasoning, type Server } from '../servers.ts'
import { checkInput, toInput } from './input.ts'
import { toOriginalBody } from './original.ts'

/** Parameters of Chat Completions that this API has no form for, and that only advise. */
const ADVISORY = [
  'frequency_penalty',
  'logit_bias',
  'prediction',
  'presence_penalty',
  'seed',
  'stop',
  'web_search_options',
] as const

/** Parameters that change what an answer is. */
const ESSENTIAL = ['audio', 'functions', 'function_call'] as const

/** Translated below, or not sent: `mock` is for the gateway alone. */
const REPLACED: ReadonlySet<string> = new Set([
  ...ADVISORY,
  ...ESSENTIAL,
  'messages',
  'tools',
  'tool_choice',
  'response_format',
  'verbosity',
  'reasoning_effort',
  'max_tokens',
  'max_completion_tokens',
  'logprobs',
  'n',
  'modalities',
  'stream_options',
  'mock',
])

/** The names of the parameters that are left out. @throws SluiceError `invalid_request`, with the path of a field */
export function checkResponse(request: ChatRequest, server: Server): string[] {
  if (request[ORIGINAL]) return []
  const ignored = checkRequest(request, toResponsesServer(server))
  for (const name of ESSENTIAL)
    if (isGiven(request[name])) throw invalidField('invalid_request', name, 'cannot be expressed in the Responses API')
  if (isGiven(request.n) && request.n !== 1)
    throw invalidField('invalid_request', 'n', 'the Responses API has one choice')
  checkInput(request)
  return [
    ...ignored,
    ...ADVISORY.filter((name) => isGiven(request[name])),
    ...(server.openai && !isWithinLimits(request.metadata) ? ['metadata'] : []),
  ]
}

/** @throws SluiceError like `checkResponse` */
export function toResponseBody(request: ChatRequest, server: Server): Fields {
  const original = request[ORIGINAL]
  const body = original ? toOriginalBody(original.body, server) : convert(request, server)
  const { model } = request
  return { ...body, model, store: body.store ?? false, ...toInclude(body, model, server), stream: true }
}

/** Thoughts come back with the next request, since the server does not store them. Other models refuse the wish. */
function toInclude({ include }: Fields, model: string, { openai }: Server): Fields {
  const given: unknown[] = Array.isArray(include) ? include : []
  if ((openai && isWithoutReasoning(model)) || given.includes(ENCRYPTED))
    return given.length > 0 ? { include: given } : {}
  return { include: [...given, ENCRYPTED] }
}

/** It takes back hidden thoughts in its own form, and is told everything else as `input.ts` says. */
function toResponsesServer(server: Server): Server {
  return { ...server, openai: false, details: true, reasoning: [], signatures: false }
}

function convert(given: ChatRequest, server: Server): Fields {
  const request = convertRequest(given, toResponsesServer(server))
  const { messages, tools, tool_choice, response_format, verbosity, reasoning_effort, logprobs } = request
  const limit = request.max_completion_tokens ?? request.max_tokens
  const ignored = new Set(checkResponse(given, server))
  const kept = Object.entries(request).filter(
    ([name, value]) => !REPLACED.has(name) && !ignored.has(name) && isGiven(value),
  )
  const include = [...listOf(request.include), ...(logprobs ? ['message.output_text.logprobs'] : [])]
  const reasoning = {
    ...recordOrEmpty(request.reasoning),
    ...(isGiven(reasoning_effort) && { effort: reasoning_effort }),
  }
  const text = { ...toFormat(response_format), ...(isGiven(verbosity) && { verbosity }) }
  return {
    ...Object.fromEntries(kept),
    ...toInput(messages),
    ...(tools && { tools: tools.map(toTool) }),
    ...(tool_choice !== undefined && { tool_choice: toChoice(tool_choice) }),
    ...(Object.keys(text).length > 0 && { text }),
    ...(Object.keys(reasoning).length > 0 && { reasoning }),
    ...(isGiven(limit) && { max_output_tokens: limit }),
    ...(include.length > 0 && { include }),
  }
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function toFormat(format: ChatRequest['response_format']): Fields {
  if (!format || format.type === 'text') return {}
  if (format.type !== 'json_schema') return { format }
  return { format: { ...recordOrEmpty(format.json_schema), type: 'json_schema' } }
}

/** Tools of other types, such as the server's own, are as they were sent. */
function toTool(tool: NonNullable<ChatRequest['tools']>[number]): Fields {
  const { type, function: called, custom, ...rest } = tool
  // Here, strict is the default; there, it is not.
  if (called) return { ...rest, strict: false, ...called, type: 'function' }
  if (!isRecord(custom)) return tool
  const { format, ...named } = custom
  return { ...rest, ...named, ...(isRecord(format) && { format: flatten(format) }), type }
}

function flatten({ grammar, ...format }: Fields): Fields {
  return { ...format, ...recordOrEmpty(grammar) }
}

function toChoice(choice: NonNullable<ChatRequest['tool_choice']>): unknown {
  if (typeof choice === 'string') return choice
  const { type } = choice
  if (type === 'allowed_tools') {
    const { mode, tools } = recordOrEmpty(choice.allowed_tools)
    return { type, mode, tools: listOf(tools).map((tool) => toNamed(recordOrEmpty(tool))) }
  }
  return toNamed(choice)
}

function toNamed(choice: Fields): Fields {
  const { type } = choice
  if (type !== 'function' && type !== 'custom') return choice
  const { name } = recordOrEmpty(choice[type])
  return { type, name }
}
