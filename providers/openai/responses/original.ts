import { isRecord, type Fields } from '../../../src/json.ts'
import type { Server } from '../servers.ts'

/** What the gateway does itself: it keeps conversations, and streams to each reader in its own way. */
const OF_GATEWAY: ReadonlySet<string> = new Set([
  'stream',
  'stream_options',
  'background',
  'previous_response_id',
  'mock',
])

/** Items whose ids say nothing to a server that has not stored them. */
const UNSTORED: ReadonlySet<unknown> = new Set([
  undefined,
  'message',
  'reasoning',
  'function_call',
  'function_call_output',
  'custom_tool_call',
  'custom_tool_call_output',
])

/** How Sluice marks thoughts of other vendors (`protocols/responses/encrypted.ts`). */
const FOREIGN = 'sluice:'

/** A request of the same API, as the client sent it. */
export function toOriginalBody(body: Fields, server: Server): Fields {
  const { input } = body
  const kept = Object.entries(body).filter(([name]) => !OF_GATEWAY.has(name))
  const items: unknown[] = Array.isArray(input) ? input : []
  return { ...Object.fromEntries(kept), input: items.flatMap((item) => toOwnItem(item, server)) }
}

function toOwnItem(item: unknown, server: Server): unknown[] {
  if (!isRecord(item) || !UNSTORED.has(item.type)) return [item]
  if (item.type === 'reasoning' && !isReadable(item, server)) return []
  const { id: _, ...fields } = item
  return [fields]
}

/** OpenAI takes no thoughts in plain words. */
function isReadable({ encrypted_content: encrypted }: Fields, { openai = false }: Server): boolean {
  if (typeof encrypted !== 'string' || encrypted === '') return !openai
  return !encrypted.startsWith(FOREIGN)
}
