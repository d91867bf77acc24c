import { recordOrEmpty } from '../../src/json.ts'
import { getJson, type JsonRequest } from '../get-json.ts'
import { readModelNames } from '../model-list.ts'

/** A server may never come to an end. */
const MAX_PAGES = 5

/** In the upstream's order, the newest first. https://platform.claude.com/docs/en/api/models-list */
export async function listModels(request: JsonRequest): Promise<string[]> {
  const names: string[] = []
  let after: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const query = new URLSearchParams({ limit: '1000', ...(after !== undefined && { after_id: after }) })
    const path = `${request.path}${request.path.includes('?') ? '&' : '?'}${query.toString()}`
    const list = await getJson({ ...request, path })
    const found = readModelNames(list)
    names.push(...found)
    const { has_more, last_id } = recordOrEmpty(list)
    after = typeof last_id === 'string' ? last_id : found.at(-1)
    if (has_more !== true || after === undefined) break
  }
  return names
}
