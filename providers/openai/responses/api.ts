import type { z } from 'zod'
import type { openaiOptions } from '../../options.ts'

type Api = z.infer<typeof openaiOptions>['api']

/** OpenAI's own servers, also those of a region. */
const OPENAI = /^([\w-]+\.)?api\.openai\.com$/

/**
 * Whether a request for a model uses the Responses API; `isOriginal`: it came in this API. The first pattern that matches
 * the model decides. Where the option is absent, OpenAI gets each request in the API in which it came.
 */
export function usesResponses(api: Api, baseUrl: string): (model: string, isOriginal: boolean) => boolean {
  if (api === undefined) {
    const isOpenAI = OPENAI.test(new URL(baseUrl).hostname)
    return (_, isOriginal) => isOriginal && isOpenAI
  }
  if (typeof api === 'string') return () => api === 'responses'
  const rules = Object.entries(api).map(([pattern, each]) => ({ pieces: pattern.split('*'), each }))
  return (model) => rules.find(({ pieces }) => matches(model, pieces))?.each === 'responses'
}

/** Linear in the model's name, whatever the pattern is: clients choose names. */
function matches(model: string, [first = '', ...others]: readonly string[]): boolean {
  const last = others.pop()
  if (last === undefined) return model === first
  if (!model.startsWith(first) || !model.endsWith(last)) return false
  let at = first.length
  for (const piece of others) {
    const found = model.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return at + last.length <= model.length
}
