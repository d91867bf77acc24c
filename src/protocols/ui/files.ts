// File parts of a user's message: data URLs or addresses, by their media type.

import type { ContentPart } from '../../chat-request.ts'

interface FilePart {
  url: string
  mediaType: string
  filename?: string | undefined
}

/** https://platform.openai.com/docs/guides/audio – the formats that a chat request has. */
const AUDIO: ReadonlyMap<string, string> = new Map([
  ['audio/wav', 'wav'],
  ['audio/x-wav', 'wav'],
  ['audio/mpeg', 'mp3'],
  ['audio/mp3', 'mp3'],
])

export function toContentPart({ url, mediaType, filename = 'file' }: FilePart): ContentPart {
  if (mediaType.startsWith('image/')) return { type: 'image_url', image_url: { url } }
  const format = AUDIO.get(mediaType)
  const base64 = base64Of(url)
  if (format !== undefined && base64 !== undefined)
    return { type: 'input_audio', input_audio: { data: base64, format } }
  const text = mediaType.startsWith('text/') ? textOf(url, base64) : undefined
  if (text !== undefined) return { type: 'text', text }
  // Chat Completions has no form for the address of a document; Anthropic's Messages API has.
  if (!isData(url)) return { type: 'document', source: { type: 'url', url } }
  return { type: 'file', file: { file_data: url, filename } }
}

function isData(url: string): boolean {
  return /^data:/i.test(url)
}

const MARK = ';base64'

/** The data of a URL in base64. Not a regexp: a repeated group overflows the stack on a long head. */
function base64Of(url: string): string | undefined {
  const comma = url.indexOf(',')
  const isBase64 = isData(url) && url.slice(0, Math.max(0, comma)).toLowerCase().endsWith(MARK)
  return isBase64 ? url.slice(comma + 1) : undefined
}

/** No upstream takes every kind of text file, but each takes text. */
function textOf(url: string, base64: string | undefined): string | undefined {
  if (base64 !== undefined) return Buffer.from(base64, 'base64').toString()
  if (!isData(url)) return undefined
  try {
    return decodeURIComponent(url.slice(url.indexOf(',') + 1))
  } catch {
    return undefined
  }
}
