// Where an answer has its knowledge from, as the upstreams tell it: citations, annotations and lists of results.

import { isRecord, type Fields } from '../../json.ts'
import type { Chunk } from './chunks.ts'

export interface Source {
  /** The same for two citations of one source: it is sent once. */
  readonly key: string
  /** Without its `sourceId`. */
  readonly chunk: Chunk
}

/** The source of a citation: a web page, or a document of the conversation. */
export function toSource({ url, source, title, document_title }: Fields): Source | undefined {
  const address = typeof url === 'string' ? url : source
  if (typeof address === 'string' && address !== '')
    return { key: `url ${address}`, chunk: { type: 'source-url', url: address, ...titled(title) } }
  const name = typeof document_title === 'string' ? document_title : title
  if (typeof name !== 'string' || name === '') return undefined
  return { key: `title ${name}`, chunk: { type: 'source-document', mediaType: 'text/plain', title: name } }
}

/** Perplexity's: pages that were found, with or without their titles. */
export function sourcesOfChunk(chunk: Fields | undefined): Source[] {
  const { search_results, citations } = chunk ?? {}
  return [search_results, citations].flatMap((list) => (Array.isArray(list) ? list.flatMap(fromList) : []))
}

function fromList(item: unknown): Source[] {
  const source = toSource(typeof item === 'string' ? { url: item } : isRecord(item) ? item : {})
  return source?.chunk.type === 'source-url' ? [source] : []
}

function titled(title: unknown): Fields {
  return typeof title === 'string' && title !== '' ? { title } : {}
}
