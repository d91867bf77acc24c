import type { ChatInput } from '../chat-request.ts'
import { isRecord, type Fields } from '../json.ts'

export const CHARACTERS_PER_TOKEN = 4
const TOKENS_PER_MESSAGE = 4
const TOKENS_PER_TOOL = 12
/** An image of about a megapixel. A file counts the same: its pages are not known. */
const TOKENS_PER_MEDIUM = 1500

/** The part of a request that a model reads. */
export interface Prompt {
  /** Texts, names and schemas. */
  readonly texts: readonly string[]
  /** In all texts. */
  readonly characters: number
  /** Tokens beside the texts: a constant for each message, tool, and image or file. */
  readonly constant: number
}

/** Linear in the number of values; copies no text. */
export function readPrompt({ messages, tools = [] }: ChatInput): Prompt {
  const found: Found = { texts: [], characters: 0, media: 0 }
  // Not `add`: a message whose type is `image` is none.
  for (const message of messages) addFields(found, message)
  for (const tool of tools) addFields(found, tool)
  const { texts, characters, media } = found
  const constant = TOKENS_PER_MESSAGE * messages.length + TOKENS_PER_TOOL * tools.length + TOKENS_PER_MEDIUM * media
  return { texts, characters, constant }
}

/** Estimates the tokens of a request: a token for every four characters, and the constants. */
export function estimateTokens(input: ChatInput): number {
  const { characters, constant } = readPrompt(input)
  return Math.ceil(characters / CHARACTERS_PER_TOKEN) + constant
}

interface Found {
  texts: string[]
  characters: number
  media: number
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
function add(found: Found, value: unknown): void {
  if (typeof value === 'string') addText(found, value)
  else if (typeof value === 'number' || typeof value === 'boolean') addText(found, String(value))
  else if (Array.isArray(value)) for (const each of value) add(found, each)
  else if (isRecord(value)) {
    // A text document is read as text.
    if (MEDIA.has(value.type) && !isText(value.source)) {
      found.media += 1
      return
    }
    addFields(found, value)
  }
}

function addFields(found: Found, fields: Fields): void {
  for (const name of Object.keys(fields)) {
    if (SILENT.has(name)) continue
    if (!ENVELOPE.has(name)) addText(found, name)
    add(found, fields[name])
  }
}

function addText(found: Found, text: string): void {
  // Samples join texts: those without characters would make them long.
  if (text === '') return
  found.texts.push(text)
  found.characters += text.length
}

function isText(source: unknown): boolean {
  return isRecord(source) && source.type === 'text'
}
