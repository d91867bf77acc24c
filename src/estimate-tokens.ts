import type { ChatInput } from './chat-request.ts'
import { isRecord } from './json.ts'

const CHARACTERS_PER_TOKEN = 4
const TOKENS_PER_MESSAGE = 4
const TOKENS_PER_TOOL = 12
/** An image of about a megapixel. A file counts the same: its pages are not known. */
const TOKENS_PER_MEDIUM = 1500

/**
 * Estimates the tokens of a request: a token for every four characters of text, names and schemas, and a constant for
 * each message, tool, and image or file.
 */
export function estimateTokens({ messages, tools = [] }: ChatInput): number {
  const sum = { characters: 0, media: 0 }
  for (const message of messages) add(sum, message)
  for (const tool of tools) add(sum, tool)
  return (
    Math.ceil(sum.characters / CHARACTERS_PER_TOKEN) +
    TOKENS_PER_MESSAGE * messages.length +
    TOKENS_PER_TOOL * tools.length +
    TOKENS_PER_MEDIUM * sum.media
  )
}

const MEDIA: ReadonlySet<unknown> = new Set(['image', 'image_url', 'document', 'file', 'input_audio'])

/** Fields that a model does not read. */
const SILENT = new Set(['role', 'type', 'id', 'tool_call_id', 'cache_control', 'signature', 'carried'])

/** Names of fields that a model does not read, though it reads the values; other names are a schema's or arguments'. */
const ENVELOPE = new Set([
  'content',
  'text',
  'name',
  'tool_calls',
  'function',
  'arguments',
  'description',
  'parameters',
])

/** Requests are nested to a bounded depth. */
function add(sum: { characters: number; media: number }, value: unknown): void {
  if (typeof value === 'string') sum.characters += value.length
  else if (typeof value === 'number' || typeof value === 'boolean') sum.characters += String(value).length
  else if (Array.isArray(value)) for (const each of value) add(sum, each)
  else if (isRecord(value)) {
    // A text document is read as text.
    if (MEDIA.has(value.type) && !isText(value.source)) {
      sum.media += 1
      return
    }
    for (const [name, each] of Object.entries(value)) {
      if (SILENT.has(name)) continue
      if (!ENVELOPE.has(name)) sum.characters += name.length
      add(sum, each)
    }
  }
}

function isText(source: unknown): boolean {
  return isRecord(source) && source.type === 'text'
}
