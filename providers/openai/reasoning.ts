import type { ChatMessage } from '../../src/chat-request.ts'
import { isRecord, recordOrEmpty, type Fields } from '../../src/json.ts'
import { REASONING_FIELDS } from '../../src/wires/openai.ts'
import { CLAUDE_FORMAT, toReasoningDetails } from '../../src/wires/thoughts.ts'
import { readsFormat, type Server } from './servers.ts'

/** Fields of an answer that its message has under their own names, or that say nothing to the upstream. */
const RESTORED_ELSEWHERE: ReadonlySet<string> = new Set([
  'role',
  'content',
  'content_parts',
  'refusal',
  'tool_calls',
  'function_call',
  ...REASONING_FIELDS,
])

/**
 * An earlier answer with its reasoning as the server wants it back; without the reasoning of another vendor. A message
 * of the native protocol keeps what the upstream sent in `carried`.
 */
export function withReasoning(message: ChatMessage, server: Server, model: string): ChatMessage {
  const { thinking_blocks, carried, reasoning, reasoning_content, reasoning_details, ...rest } = message
  const restored = isRecord(carried)
    ? restore(carried, reasoning)
    : {
        texts: isUnreadable(message, server, model) ? {} : { reasoning_content, reasoning },
        details: reasoning_details,
        fields: {},
        sentBefore: reasoning !== undefined,
      }
  const { extra_content, ...fields } = { ...restored.fields, ...rest }
  const details = toDetails(restored, thinking_blocks, server, model)
  return {
    ...fields,
    role: message.role,
    ...nameTexts(restored.texts, server),
    ...(details.length > 0 && { reasoning_details: details }),
    // LiteLLM's name for them.
    ...(thinking_blocks !== undefined && mayOfferClaude(server, model) && { thinking_blocks }),
    ...(server.signatures && extra_content !== undefined && { extra_content }),
  }
}

/** The words beside thoughts of Claude's that Sluice has made details, for a server that does not offer Claude. */
function isUnreadable({ reasoning, reasoning_details }: ChatMessage, server: Server, model: string): boolean {
  if (reasoning !== undefined || !Array.isArray(reasoning_details)) return false
  if (server.details || mayOfferClaude(server, model)) return false
  return reasoning_details.some((detail) => recordOrEmpty(detail).format === CLAUDE_FORMAT)
}

interface Restored {
  texts: Fields
  details: unknown
  fields: Fields
  /** A server of this wire wrote the details. Sluice's own come beside `reasoning_content` alone. */
  sentBefore: boolean
}

function restore(carried: Fields, reasoning: unknown): Restored {
  if (!isRecord(carried.openai)) return { texts: {}, details: undefined, fields: {}, sentBefore: false }
  const { delta, reasoning_fields } = carried.openai
  const { reasoning_details, ...others } = recordOrEmpty(delta)
  const names = REASONING_FIELDS.filter((name) => Array.isArray(reasoning_fields) && reasoning_fields.includes(name))
  return {
    texts: Object.fromEntries(
      (names.length > 0 ? names : REASONING_FIELDS.slice(0, 1)).map((name) => [name, reasoning]),
    ),
    details: reasoning_details,
    fields: Object.fromEntries(Object.entries(others).filter(([name]) => !RESTORED_ELSEWHERE.has(name))),
    sentBefore: true,
  }
}

function nameTexts(texts: Fields, { reasoning: names }: Server): Fields {
  const given = Object.fromEntries(Object.entries(texts).filter(([, text]) => typeof text === 'string'))
  const [text] = Object.values(given)
  return names && text !== undefined ? Object.fromEntries(names.map((name) => [name, text])) : given
}

/** Signed thoughts of Claude go to servers that offer it, in the form in which these sent them. */
function toDetails({ details, sentBefore }: Restored, blocks: unknown, server: Server, model: string): unknown[] {
  if (server.details === false) return []
  if (!Array.isArray(details)) return server.details || mayOfferClaude(server, model) ? toReasoningDetails(blocks) : []
  return server.details || sentBefore
    ? details
    : details.filter((detail) => readsFormat(model, recordOrEmpty(detail).format))
}

function mayOfferClaude(server: Server, model: string): boolean {
  return server.details === undefined && readsFormat(model, CLAUDE_FORMAT)
}
