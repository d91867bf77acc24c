import { z } from 'zod'
import type { ChatMessage, ContentPart } from '../../src/chat-request.ts'
import { invalidField, type SluiceError } from '../../src/errors.ts'
import { parseJson, type Fields } from '../../src/json.ts'
import { toToolMessages } from './legacy-functions.ts'
import { carriedBlocks, toOwnBlock, toThoughts, toToolUseId } from './own-blocks.ts'

export interface Turn extends Fields {
  role: 'user' | 'assistant' | 'system'
  content: Fields[]
}

/**
 * Converts a conversation to the Messages API. System messages at its start become the `system` parameter; later ones
 * stay in place (models before Claude Opus 4.8 refuse them). Consecutive messages of one side are joined into one turn,
 * as the API does: it requires that the results of several tools be in one turn.
 *
 * @throws SluiceError `invalid_request`, with the path of the field that cannot be expressed
 * https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
 */
export function toTurns(messages: readonly ChatMessage[]): { system: Fields[]; turns: Turn[] } {
  const system: Fields[] = []
  const turns: Turn[] = []
  for (const [i, message] of toToolMessages(messages).entries()) {
    const turn = toTurn(message, `messages[${i}]`)
    const previous = turns.at(-1)
    if (turn.role === 'system' && !previous && isPlain(turn)) system.push(...turn.content)
    else if (previous?.role === turn.role && isPlain(previous) && isPlain(turn)) previous.content.push(...turn.content)
    // Skip empty turns: the API refuses them.
    else if (turn.content.length > 0 || !isPlain(turn)) turns.push(turn)
  }
  return { system, turns }
}

/** Whether a turn has no unknown fields: these belong to their message alone, so the turn must not be merged. */
function isPlain(turn: Turn): boolean {
  return Object.keys(turn).length === 2
}

function toTurn(message: ChatMessage, path: string): Turn {
  switch (message.role) {
    case 'system':
    case 'developer':
      return toSpoken('system', message, path)
    case 'user':
      return toSpoken('user', message, path)
    case 'assistant':
      return toAssistantTurn(message, path)
    case 'tool':
      return { role: 'user', content: [toToolResult(message, path)] }
    case 'function': // A result without a call.
      throw inexpressible(`${path}.role`)
  }
}

function toSpoken(role: Turn['role'], message: ChatMessage, path: string): Turn {
  const { role: _, content, name, carried: _carried, ...rest } = message
  if (name !== undefined) throw inexpressible(`${path}.name`)
  return { role, content: toBlocks(content, `${path}.content`), ...rest }
}

/** Descriptions of an answer (`annotations`) and thoughts that Anthropic has not signed are omitted. */
function toAssistantTurn(message: ChatMessage, path: string): Turn {
  const { content, tool_calls = [], refusal } = message
  for (const field of ['name', 'audio', 'function_call'] as const)
    if (message[field] !== undefined) throw inexpressible(`${path}.${field}`)
  const own = carriedBlocks(message)
  if (own) return { role: 'assistant', content: own.flatMap(toOwnBlock).map((block) => withInput(block, path)) }
  const calls = tool_calls.map((call, i) => toToolUse(call, `${path}.tool_calls[${i}]`))
  return {
    role: 'assistant',
    content: [
      ...toThoughts(message, path),
      ...toBlocks(content, `${path}.content`),
      ...(typeof refusal === 'string' ? textBlocks(refusal) : []),
      ...calls,
    ],
  }
}

type ToolCall = NonNullable<ChatMessage['tool_calls']>[number]

function toToolUse(call: ToolCall, path: string): Fields {
  const { type: _type, id, function: called, custom, ...rest } = call
  const input = called ? toInput(called.arguments, `${path}.function.arguments`) : { input: custom?.input }
  const name = called?.name ?? custom?.name
  if (name === undefined) throw inexpressible(path)
  for (const field of OTHERS_FIELDS) delete rest[field]
  return { type: 'tool_use', id: toToolUseId(id), name, input, ...rest }
}

/**
 * Fields that other upstreams want back with a call, or that Sluice added. Clients that assemble a call from the pieces
 * of a stream leave `index` in it.
 */
const OTHERS_FIELDS = ['index', 'extra_content', 'carried', 'extra', 'provider_specific_fields'] as const

/** A snapshot has an input that was cut off, or is very long, as text. */
function withInput(block: Fields, path: string): Fields {
  if (block.type !== 'tool_use' || typeof block.input !== 'string') return block
  return { ...block, input: toInput(block.input, `${path}.carried.anthropic.content`) }
}

const inputSchema = z.record(z.string(), z.unknown())

function toInput(json: string, path: string): Fields {
  const parsed = inputSchema.safeParse(readJson(json.trim() === '' ? '{}' : json))
  if (!parsed.success) throw invalidField('invalid_request', path, 'is not a JSON object, which Anthropic wants')
  return parsed.data
}

function readJson(json: string): unknown {
  try {
    return parseJson(json)
  } catch {
    return undefined
  }
}

/** Drops the tool's name, which some clients add: the call already has it. */
function toToolResult(message: ChatMessage, path: string): Fields {
  const { role: _role, name: _name, content, tool_call_id, ...rest } = message
  if (tool_call_id === undefined) throw invalidField('invalid_request', `${path}.tool_call_id`, 'is required')
  const result = typeof content === 'string' ? content : toBlocks(content, `${path}.content`)
  return {
    type: 'tool_result',
    tool_use_id: toToolUseId(tool_call_id),
    ...(result.length > 0 && { content: result }),
    ...rest,
  }
}

export function inexpressible(path: string): SluiceError {
  return invalidField('invalid_request', path, 'cannot be expressed in the Anthropic Messages API')
}

/** The content of a message. Parts in Anthropic's own format are kept unchanged. */
export function toBlocks(content: ChatMessage['content'], path: string): Fields[] {
  if (typeof content === 'string') return textBlocks(content)
  return content?.flatMap((part, i) => toBlock(part, `${path}[${i}]`)) ?? []
}

/** Returns no block for an empty text: the API refuses empty text blocks. */
function textBlocks(text: string): Fields[] {
  return text === '' ? [] : [{ type: 'text', text }]
}

function toBlock(part: ContentPart, path: string): Fields[] {
  switch (part.type) {
    case 'text':
      return part.text === '' ? [] : [part]
    case 'refusal':
      return typeof part.refusal === 'string' ? textBlocks(part.refusal) : []
    case 'image_url':
      return [toImage(part, path)]
    case 'file':
      return [toDocument(part, path)]
    case 'input_audio':
      throw inexpressible(path)
    default:
      return [part]
  }
}

/** Drops `detail` (the resolution of the image): the Messages API has no such field. */
function toImage({ image_url, ...rest }: ContentPart, path: string): Fields {
  if (!image_url) throw invalidField('invalid_request', `${path}.image_url`, 'is required')
  const { url } = image_url
  if (!/^data:/i.test(url)) return { ...rest, type: 'image', source: { type: 'url', url } }
  const data = readDataUrl(url)
  if (!data) throw invalidField('invalid_request', `${path}.image_url.url`, 'is not a data URL in base64')
  return { ...rest, type: 'image', source: { type: 'base64', ...data } }
}

const fileSchema = z.object({
  file_data: z.string().optional(),
  file_id: z.string().optional(),
  filename: z.string().optional(),
})

function toDocument({ file: value, ...rest }: ContentPart, path: string): Fields {
  const file = fileSchema.safeParse(value)
  if (!file.success) throw invalidField('invalid_request', `${path}.file`, 'is not a file')
  const { file_data, file_id, filename } = file.data
  const title = filename === undefined ? {} : { title: filename }
  if (file_id !== undefined) return { ...rest, type: 'document', source: { type: 'file', file_id }, ...title }
  const data = readDataUrl(file_data ?? '')
  if (data?.media_type !== 'application/pdf') throw inexpressible(`${path}.file.file_data`)
  return { ...rest, type: 'document', source: { type: 'base64', ...data }, ...title }
}

const BASE64 = ';base64'

/** https://www.rfc-editor.org/rfc/rfc2397. Not a regexp: a repeated group overflows the stack on a long head. */
function readDataUrl(url: string): { media_type: string; data: string } | undefined {
  const comma = url.indexOf(',')
  const head = url.slice(0, Math.max(comma, 0))
  if (!/^data:/i.test(head) || head.slice(-BASE64.length).toLowerCase() !== BASE64) return undefined
  return { media_type: head.slice('data:'.length, head.indexOf(';')), data: url.slice(comma + 1) }
}
