import type { Principal } from './caller.ts'

/** Whether a caller may use a target (`provider/model`) under this name. */
export type ModelFilter = (name: string, target: string) => boolean

/** By list: configured lists do not change, so the patterns of each are read once. */
const filters = new WeakMap<readonly string[], ModelFilter>()

/** Undefined when the caller may use all models. */
export function allowedModels({ models }: Principal): ModelFilter | undefined {
  if (models === undefined) return undefined
  let filter = filters.get(models)
  if (!filter) filters.set(models, (filter = toFilter(models)))
  return filter
}

function toFilter(patterns: readonly string[]): ModelFilter {
  const names = new Set(patterns)
  const prefixes = patterns.filter((each) => each.endsWith('*')).map((each) => each.slice(0, -1))
  const matches = (text: string) => names.has(text) || prefixes.some((prefix) => text.startsWith(prefix))
  return (name, target) => matches(name) || matches(target)
}
