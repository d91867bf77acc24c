// Parts of messages: Anthropic's own blocks as what Chat Completions has for them, or refused by name.

import type { ChatMessage, ContentPart } from '../../src/chat-request.ts'
import { isRecord, recordOrEmpty } from '../../src/json.ts'
import { inexpressible } from './inexpressible.ts'
import type { Server } from './servers.ts'

/** The parts of an earlier answer that servers take back. Others are Anthropic's, or another vendor's thoughts. */
const OF_ANSWERS: ReadonlySet<string> = new Set([
  'text',
  'refusal',
  'image_url',
  'file',
  'input_audio',
  'audio_url',
  'video_url',
])

type Content = ChatMessage['content']

/** @throws SluiceError `invalid_request`, with the path of a part that Chat Completions cannot express */
export function toChatContent({ role, content }: ChatMessage, path: string, server: Server): Content {
  if (!Array.isArray(content)) return content
  const parts =
    role === 'assistant' ? ofAnswer(content, server) : content.flatMap((part, i) => toParts(part, `${path}[${i}]`))
  const chat = server.openai ? parts.map(toKnown) : parts
  if (role === 'assistant') return parts.length === content.length ? chat : (joined(chat) ?? chat)
  // Many models' templates take a text there; what a client of this protocol sends passes as it is.
  return role === 'user' || chat.length !== 1 || content.every(isPlainText) ? chat : (joined(chat) ?? chat)
}

function ofAnswer(content: readonly ContentPart[], server: Server): ContentPart[] {
  return content.flatMap((part): ContentPart[] => {
    // A summary stands for the messages before it.
    if (part.type === 'compaction' && typeof part.content === 'string') return [toText(part.content)]
    if (OF_ANSWERS.has(part.type) || (part.type === 'thinking' && server.thinkingParts)) return [withoutHints(part)]
    return []
  })
}

function joined(parts: readonly ContentPart[]): string | undefined {
  const texts = parts.map((part) => (isPlainText(part) ? part.text : undefined))
  return texts.every((text) => text !== undefined) ? texts.join('') : undefined
}

function isPlainText(part: ContentPart): boolean {
  return part.type === 'text' && Object.keys(part).length === 2
}

function toText(text: string): ContentPart {
  return { type: 'text', text }
}

function withoutHints({ cache_control: _, citations: _citations, ...part }: ContentPart): ContentPart {
  return part
}

/** OpenAI refuses unknown fields of parts. */
function toKnown(part: ContentPart): ContentPart {
  const value = part[part.type]
  return value === undefined ? part : { type: part.type, [part.type]: value }
}

function toParts(part: ContentPart, path: string): ContentPart[] {
  switch (part.type) {
    case 'image':
      return [toImage(part, path)]
    case 'document':
      return toDocument(part, path)
    case 'file':
      return toFile(part)
    case 'search_result':
      return [toText(titled([part.title, part.source], textOf(part.content)))]
    case 'tool_reference':
      return [toText(`Tool: ${String(part.tool_name)}`)]
    case 'container_upload':
      throw inexpressible(path)
    default:
      return [withoutHints(part)]
  }
}

/** Files of Anthropic's are not there for others. */
function toImage(part: ContentPart, path: string): ContentPart {
  const { type, url, media_type, data } = recordOrEmpty(part.source)
  if (type === 'url' && typeof url === 'string') return { type: 'image_url', image_url: { url } }
  if (type === 'base64' && typeof data === 'string')
    return { type: 'image_url', image_url: { url: `data:${String(media_type)};base64,${data}` } }
  throw inexpressible(path)
}

function toDocument({ source, title, context }: ContentPart, path: string): ContentPart[] {
  const { type, data, content, media_type } = recordOrEmpty(source)
  const heading = [title, context]
  if (type === 'text' && typeof data === 'string') return [toText(titled(heading, data))]
  if (type === 'content' && typeof content === 'string') return [toText(titled(heading, content))]
  if (type === 'content' && Array.isArray(content)) {
    const parts = content.filter(isRecord).flatMap((block) => toParts({ type: '', ...block }, path))
    return heading.some(isText) ? [toText(titled(heading, '').trim()), ...parts] : parts
  }
  if (type === 'base64' && typeof data === 'string')
    return toFile({
      type: 'file',
      file: { file_data: `data:${String(media_type)};base64,${data}`, ...(isText(title) && { filename: title }) },
      context,
    })
  throw inexpressible(path)
}

/** OpenAI wants a name with the data. */
function toFile({ file, context, title: _, ...rest }: ContentPart): ContentPart[] {
  const about = isText(context) ? [toText(context)] : []
  if (!isRecord(file)) return [{ ...withoutHints(rest), ...(file !== undefined && { file }) }]
  const isUnnamed = file.file_data !== undefined && file.filename === undefined
  return [...about, { ...withoutHints(rest), file: { ...file, ...(isUnnamed && { filename: 'document.pdf' }) } }]
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}

function titled(headings: readonly unknown[], text: string): string {
  const heading = headings.filter(isText).join('\n')
  return heading === '' ? text : `${heading}\n\n${text}`
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((block: unknown) => recordOrEmpty(block).text)
    .filter(isText)
    .join('\n')
}
