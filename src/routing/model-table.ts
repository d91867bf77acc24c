import { listTargets, splitTarget, type ModelsConfig, type TargetOptions } from './target-spec.ts'

/** A target as a name leads to it. */
export interface Entry extends Omit<TargetOptions, 'target'> {
  provider: string
  model: string
  /** The model is what the client wrote where the public name has its `*`. */
  wild?: boolean
}

/** The public names of the configuration, and what they lead to. */
export class ModelTable {
  readonly #exact = new Map<string, TargetOptions[]>()
  /** By what stands before their `*`, the longest first. */
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

  /** Empty when the name leads nowhere. The exact name wins, then the wildcard that says most. */
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
  // A function, since `$&` and its like in what a client writes mean something in a plain replacement.
  return { ...options, provider, model: wild ? model.replace('*', () => matched) : model, wild }
}
