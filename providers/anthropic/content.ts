// The parts of a message as blocks of the Messages API.

import { z } from 'zod'
import type { ChatMessage, ContentPart } from '../../src/chat-request.ts'
import { invalidField, type SluiceError } from '../../src/errors.ts'
import type { Fields } from '../../src/json.ts'
import { isSignedThought, isThought } from '../../src/wires/thoughts.ts'

export function inexpressible(path: string): SluiceError {
  return invalidField('invalid_request', path, 'cannot be expressed in the Anthropic Messages API')
}

/** The content of a message. Parts in Anthropic's own format are kept unchanged. */
export function toBlocks(content: ChatMessage['content'], path: string): Fields[] {
  if (typeof content === 'string') return textBlocks(content)
  return content?.flatMap((part, i) => toBlock(part, `${path}[${i}]`)) ?? []
}

/** Returns no block for a blank text: the API refuses such blocks. */
export function textBlocks(text: string): Fields[] {
  return isBlank(text) ? [] : [{ type: 'text', text }]
}

export function isBlank(text: unknown): boolean {
  return typeof text === 'string' && text.trim() === ''
}

function toBlock(part: ContentPart, path: string): Fields[] {
  switch (part.type) {
    case 'text':
      return isBlank(part.text) ? [] : [part]
    case 'refusal':
      return typeof part.refusal === 'string' ? textBlocks(part.refusal) : []
    case 'image_url':
      return [toImage(part, path)]
    case 'file':
      return [toDocument(part, path)]
    case 'input_audio':
    case 'audio_url':
    case 'video_url':
      throw inexpressible(path)
    default:
      // Mistral has thoughts among its parts.
      return isThought(part) && !isSignedThought(part) ? [] : [part]
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
