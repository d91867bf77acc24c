// What OpenAI defines of messages and calls: its own API refuses other fields.

import { createHash } from 'node:crypto'
import type { ChatMessage } from '../../src/chat-request.ts'
import type { Fields } from '../../src/json.ts'

type ToolCall = NonNullable<ChatMessage['tool_calls']>[number]

/** https://platform.openai.com/docs/api-reference/chat/create (`messages`); clients send back `annotations`, too. */
const OF_MESSAGES = [
  'content',
  'name',
  'refusal',
  'audio',
  'annotations',
  'tool_calls',
  'function_call',
  'tool_call_id',
]

export function toKnownMessage(message: ChatMessage): ChatMessage {
  return { ...pick(message, OF_MESSAGES), role: message.role }
}

export function toKnownCall({ id, type, function: called, custom }: ToolCall): ToolCall {
  return {
    id,
    type,
    ...(called && { function: { name: called.name, arguments: called.arguments } }),
    ...(custom && { custom: { name: custom.name, input: custom.input } }),
  }
}

function pick(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(names.filter((name) => fields[name] !== undefined).map((name) => [name, fields[name]]))
}

/** Which ids of calls a server takes. */
export type IdRule = 'up to 40 characters' | '9 letters and digits'

/** Ids that the server refuses become digests, the same for a call and its result. */
export function toCallId(id: string, rule: IdRule | undefined): string {
  switch (rule) {
    case undefined:
      return id
    case 'up to 40 characters':
      return id.length <= 40 ? id : `call_${digestOf(id).slice(0, 32)}`
    case '9 letters and digits':
      return /^[a-zA-Z0-9]{9}$/.test(id) ? id : toBase36(digestOf(id)).slice(0, 9)
  }
}

function digestOf(id: string): string {
  return createHash('sha256').update(id).digest('hex')
}

/** More of the digest in each character. */
function toBase36(hex: string): string {
  return BigInt(`0x${hex}`).toString(36).padStart(9, '0')
}
