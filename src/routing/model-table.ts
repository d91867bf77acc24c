import { listTargets, splitTarget, type ModelsConfig, type TargetOptions } from './target-spec.ts'

/** A target that a model name resolves to. */
export interface Entry extends Omit<TargetOptions, 'target'> {
  provider: string
  model: string
  /** The public name has a `*`: the client's text in its place chose the model. */
  wild?: boolean
}

/** The public model names of the configuration, and the targets they resolve to. */
export class ModelTable {
  readonly #exact = new Map<string, TargetOptions[]>()
  /** Wildcards by the prefix before their `*`, the longest first. */
  readonly #wildcards: { prefix: string; targets: TargetOptions[] }[] = []

  constructor(models: ModelsConfig) {
    for (const [name, specs] of Object.entries(models)) {
      if (name.endsWith('*')) this.#wildcards.push({ prefix: name.slice(0, -1), targets: listTargets(specs) })
      else this.#exact.set(name, listTargets(specs))
    }
    this.#wildcards.sort((a, b) => b.prefix.length - a.prefix.length)
  }

  /** Public names without a wildcard. */
  get names(): string[] {
    return [...this.#exact.keys()]
  }

  /** The targets of a name; empty when it is unknown. An exact name wins, then the wildcard with the longest prefix. */
  find(name: string): Entry[] {
    const exact = this.#exact.get(name)
    if (exact) return exact.map((target) => toEntry(target))
    const found = this.#wildcards.find(({ prefix }) => name.length > prefix.length && name.startsWith(prefix))
    return found?.targets.map((target) => toEntry(target, name.slice(found.prefix.length))) ?? []
  }
}

function toEntry({ target, ...options }: TargetOptions, matched?: string): Entry {
  const { provider, model } = splitTarget(target)
  const wild = matched !== undefined && model.includes('*')
  // A function as replacement: in a string, `$&` and similar patterns from the client would be expanded.
  return { ...options, provider, model: wild ? model.replace('*', () => matched) : model, wild }
}
