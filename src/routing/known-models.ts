import type { RegisteredProvider } from '../../providers/registry.ts'
import { OTHER } from '../telemetry/metrics.ts'
import { listTargets, splitTarget, type ModelsConfig } from './target-spec.ts'

/**
 * By provider, the models that the configuration names: those that it offers, and those that `models` leads to. One
 * that takes any model has an `other`.
 */
export function knownModels(
  providers: ReadonlyMap<string, RegisteredProvider>,
  models: ModelsConfig,
): Map<string, Set<string>> {
  const known = new Map([...providers].map(([name, { provider }]) => [name, new Set(provider.models ?? [OTHER])]))
  for (const { target } of Object.values(models).flatMap(listTargets)) {
    const { provider, model } = splitTarget(target)
    if (!model.includes('*')) known.get(provider)?.add(model)
  }
  return known
}
