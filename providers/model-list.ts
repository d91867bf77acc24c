import { isRecord } from '../src/json.ts'
import { invalidResponse } from './upstream-errors.ts'

/** Bounded before they are sorted, which takes more than linear time. */
const MAX_NAMES = 2_000
const MAX_NAME_CHARACTERS = 200

/**
 * The names in a list of models: `{"data": [{"id"}]}` at OpenAI, Anthropic and most servers, `[{"id"}]` at a few.
 *
 * @throws ProviderError for anything else
 */
export function readModelNames(list: unknown): string[] {
  const models = isRecord(list) ? list.data : list
  if (!Array.isArray(models)) throw invalidResponse('The upstream sent no list of models.')
  const names = models.flatMap((model) => (isRecord(model) && typeof model.id === 'string' ? [model.id] : []))
  if (names.length < models.length) throw invalidResponse('The upstream listed models without a name.')
  return names.filter(({ length }) => length <= MAX_NAME_CHARACTERS).slice(0, MAX_NAMES)
}
