// Citations and signatures of thoughts, which two wires have in forms of their own. OpenRouter's form of the latter.

import { isRecord, recordOf, type Fields } from './fields.ts'
import { CLAUDE_FORMAT } from './thoughts.ts'

/** The `url_citation` for a citation of the text from `start` to `end`; undefined when it cites no web page. */
export function toAnnotation({ url, source, title }: Fields, start: number, end: number): Fields | undefined {
  const address = typeof url === 'string' ? url : source
  if (typeof address !== 'string' || !/^https?:/.test(address)) return undefined
  const named = typeof title === 'string' ? title : ''
  return { type: 'url_citation', url_citation: { url: address, title: named, start_index: start, end_index: end } }
}

/** The citations for the `annotations` of a delta. */
export function toCitations(annotations: unknown, quote: (start: number, end: number) => string): Fields[] {
  if (!Array.isArray(annotations)) return []
  return annotations.flatMap((annotation: unknown) => {
    if (!isRecord(annotation) || annotation.type !== 'url_citation') return []
    const { url, title, start_index, end_index } = recordOf(annotation.url_citation) ?? annotation
    if (typeof url !== 'string') return []
    const isPlaced = typeof start_index === 'number' && typeof end_index === 'number'
    return [
      {
        type: 'web_search_result_location',
        url,
        title: typeof title === 'string' ? title : null,
        cited_text: isPlaced ? quote(start_index, end_index) : '',
        encrypted_index: '',
      },
    ]
  })
}

/** Thoughts that are to come back with their signature. */
export function toSignedDetail(text: string, signature: string, index: number): Fields {
  return { type: 'reasoning.text', text, signature, format: CLAUDE_FORMAT, index }
}

export function toEncryptedDetail(data: string, index: number): Fields {
  return { type: 'reasoning.encrypted', data, format: CLAUDE_FORMAT, index }
}

/** LiteLLM sends Claude's blocks of thoughts beside the reasoning. */
export function readThinkingBlocks(blocks: unknown): { signature?: string; data?: string }[] {
  if (!Array.isArray(blocks)) return []
  return blocks.flatMap((block: unknown): { signature?: string; data?: string }[] => {
    const { type, signature, data } = recordOf(block) ?? {}
    if (type === 'thinking' && typeof signature === 'string' && signature !== '') return [{ signature }]
    return type === 'redacted_thinking' && typeof data === 'string' ? [{ data }] : []
  })
}

/** Claude's signatures and hidden thoughts. Those of other models would come back as Claude's. */
export function readDetails(details: unknown): { signature?: string; data?: string }[] {
  if (!Array.isArray(details)) return []
  return details.flatMap((detail: unknown): { signature?: string; data?: string }[] => {
    const { type, signature, data, format = CLAUDE_FORMAT } = recordOf(detail) ?? {}
    if (format !== null && format !== CLAUDE_FORMAT) return []
    if (type === 'reasoning.text' && typeof signature === 'string' && signature !== '') return [{ signature }]
    return type === 'reasoning.encrypted' && typeof data === 'string' ? [{ data }] : []
  })
}
