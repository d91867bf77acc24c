import type { Fields } from '../../json.ts'
import { recordOf } from '../../wires/fields.ts'

/** Only this API has them. */
const FILE_ANNOTATIONS: ReadonlySet<string> = new Set(['file_citation', 'container_file_citation', 'file_path'])

/** The annotation of a text, from one of any upstream; undefined when this API has no form for it. */
export function readAnnotation(value: unknown, textStart: number): Fields | undefined {
  const { type, url_citation, ...flat } = recordOf(value) ?? {}
  if (type === 'url_citation') return toWebPage(recordOf(url_citation) ?? flat, textStart)
  return typeof type === 'string' && FILE_ANNOTATIONS.has(type) ? { type, ...flat } : undefined
}

/** Places count from the start of the text; in Chat Completions, from the start of the whole answer. */
function toWebPage({ url, title = '', start_index, end_index }: Fields, textStart: number): Fields {
  const at = (place: unknown) => (typeof place === 'number' ? Math.max(0, place - textStart) : 0)
  return { type: 'url_citation', url, title, start_index: at(start_index), end_index: at(end_index) }
}
