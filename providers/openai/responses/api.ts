import type { z } from 'zod'
import type { openaiOptions } from '../../options.ts'

type Api = z.infer<typeof openaiOptions>['api']

/** Whether chats with a model use the Responses API. The first pattern that matches the model decides. */
export function usesResponses(api: Api): (model: string) => boolean {
  if (api === undefined || typeof api === 'string') return () => api === 'responses'
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
