import type { RegisteredProvider } from '../../providers/registry.ts'
import { OTHER } from '../telemetry/metrics.ts'
import { listTargets, splitTarget, type ModelsConfig } from './target-spec.ts'

/** Models named in the configuration, by provider. A provider that accepts any model gets the label `other`. */
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
