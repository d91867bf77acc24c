import { z } from 'zod'
import type { ChatMessage } from '../../src/chat-request.ts'
import { invalidField } from '../../src/errors.ts'
import { parseJson, type Fields } from '../../src/json.ts'
import { CallIds } from './call-ids.ts'
import { inexpressible, isBlank, textBlocks, toBlocks } from './content.ts'
import { toToolMessages } from './legacy-functions.ts'
import { carriedBlocks, toOwnBlock, toThoughts } from './own-blocks.ts'
import { placeTurns, type Conversation, type Turn } from './placement.ts'

/**
 * Converts a conversation to the Messages API. Names of speakers are left out.
 *
 * @throws SluiceError `invalid_request`, with the path of the field that cannot be expressed
 */
export function toTurns(messages: readonly ChatMessage[], target: Target): Conversation {
  const ids = new CallIds()
  const turns = toToolMessages(messages).map((message, i, all) => {
    if (message.role === 'assistant' && all[i - 1]?.role !== 'assistant') ids.startAnswer()
    return toTurn(message, `messages[${i}]`, { ids, ...target })
  })
  return placeTurns(turns, target)
}

/** What the model at the server takes. */
export interface Target {
  /** Instructions within a conversation. */
  readonly instructions: boolean
  /** Thoughts without a signature. */
  readonly unsigned: boolean
  /** Anthropic has the beginning of the conversation. */
  readonly isThread: boolean
}

interface Context extends Target {
  ids: CallIds
}

function toTurn(message: ChatMessage, path: string, context: Context): Turn {
  switch (message.role) {
    case 'system':
    case 'developer':
      return toSpoken('system', message, path)
    case 'user':
      return toSpoken('user', message, path)
    case 'assistant':
      return toAssistantTurn(message, path, context)
    case 'tool':
      return { role: 'user', content: [toToolResult(message, path, context)] }
    case 'function': // A result without a call.
      throw inexpressible(`${path}.role`)
  }
}

function toSpoken(role: Turn['role'], message: ChatMessage, path: string): Turn {
  const { role: _, content, name: _name, carried: _carried, ...rest } = message
  return { role, content: toBlocks(content, `${path}.content`), ...rest }
}

/** Descriptions of an answer (`annotations`) and thoughts that Anthropic has not signed are omitted. */
function toAssistantTurn(message: ChatMessage, path: string, { ids, unsigned }: Context): Turn {
  const { content, tool_calls = [], refusal } = message
  for (const field of ['audio', 'function_call'] as const)
    if (message[field] !== undefined) throw inexpressible(`${path}.${field}`)
  const own = carriedBlocks(message)
  if (own)
    return {
      role: 'assistant',
      content: own.flatMap((block) => toOwnBlock(block, unsigned)).map((block) => withCall(block, ids)),
    }
  const calls = tool_calls.map((call, i) => toToolUse(call, `${path}.tool_calls[${i}]`, ids))
  return {
    role: 'assistant',
    content: [
      ...toThoughts(message, path, unsigned),
      ...toBlocks(content, `${path}.content`),
      ...(typeof refusal === 'string' ? textBlocks(refusal) : []),
      ...calls,
    ],
  }
}

type ToolCall = NonNullable<ChatMessage['tool_calls']>[number]

function toToolUse(call: ToolCall, path: string, ids: CallIds): Fields {
  const { type: _type, id, function: called, custom, ...rest } = call
  const input = called ? toInput(called.arguments) : { input: custom?.input }
  const name = called?.name ?? custom?.name
  if (name === undefined) throw inexpressible(path)
  for (const field of OTHERS_FIELDS) delete rest[field]
  return { type: 'tool_use', id: ids.ofCall(id), name, input, ...rest }
}

/**
 * Fields that other upstreams want back with a call, or that Sluice added. Clients that assemble a call from the pieces
 * of a stream leave `index` in it.
 */
const OTHERS_FIELDS = ['index', 'extra_content', 'carried', 'extra', 'provider_specific_fields'] as const

/** A snapshot has an input that was cut off, or is very long, as text. */
function withCall(block: Fields, ids: CallIds): Fields {
  if (block.type !== 'tool_use') return block
  const { id, input } = block
  return { ...block, id: ids.ofCall(String(id)), ...(typeof input === 'string' && { input: toInput(input) }) }
}

const inputSchema = z.record(z.string(), z.unknown())

/** What is no JSON object, as when the limit of tokens has cut it off, is quoted: the API wants an object. */
function toInput(json: string): Fields {
  if (json.trim() === '') return {}
  const value = readJson(json)
  const parsed = inputSchema.safeParse(value)
  if (parsed.success) return parsed.data
  return value === null ? {} : { input: json }
}

function readJson(json: string): unknown {
  try {
    return parseJson(json)
  } catch {
    return undefined
  }
}

/** Drops the tool's name, which some clients add: the call already has it. */
function toToolResult(message: ChatMessage, path: string, { ids }: Context): Fields {
  const { role: _role, name: _name, content, tool_call_id, ...rest } = message
  if (tool_call_id === undefined) throw invalidField('invalid_request', `${path}.tool_call_id`, 'is required')
  const result = typeof content === 'string' ? (isBlank(content) ? '' : content) : toBlocks(content, `${path}.content`)
  return {
    type: 'tool_result',
    tool_use_id: ids.ofResult(tool_call_id),
    ...(result.length > 0 && { content: result }),
    ...rest,
  }
}
