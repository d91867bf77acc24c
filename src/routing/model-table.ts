// `models` in the configuration: its syntax, and the targets that a model name stands for.

import { z } from 'zod'
import { toFaults, type Fault } from '../faults.ts'
import { numeric, positiveMilliseconds, wholeNumber } from '../setting-schemas.ts'
import { nearestNames } from './nearest-names.ts'

/** `provider/model`, as in the configuration; the model may hold slashes of its own. */
const targetName = z.string().regex(/^[\w.-]+\/.+$/, 'expected "provider/model"')

const targetOptions = z.strictObject({
  target: targetName,
  /** Targets with a weight come first, in an order drawn by weight. */
  weight: numeric(z.number().positive()).optional(),
  /** How often one request may be tried again with this target; 2 when absent. */
  retries: wholeNumber(0, 100).optional(),
  connectTimeoutMs: positiveMilliseconds.optional(),
  firstTokenTimeoutMs: positiveMilliseconds.optional(),
  idleTimeoutMs: positiveMilliseconds.optional(),
  totalTimeoutMs: positiveMilliseconds.optional(),
})

const targetSpec = z.union([targetName, targetOptions], 'expected "provider/model", or an object with a target')

const publicName = z
  .string()
  .min(1)
  .regex(/^[^*]*\*?$/, 'may hold a "*" at its end only')

/** `models` in the configuration: the public model names, and their targets. */
export const modelsSchema = z.record(
  publicName,
  z.union([targetSpec, z.array(targetSpec).min(1)], 'expected a target or a list of targets'),
)

export const breakerSchema = z.strictObject({
  /** Consecutive failures that open a target's circuit breaker … */
  failures: wholeNumber(1).default(5),
  /** … for this long at first, and up to five minutes when it does not recover. */
  cooldownMs: positiveMilliseconds.default(30_000),
})

export type ModelsConfig = z.infer<typeof modelsSchema>
export type BreakerConfig = z.infer<typeof breakerSchema>
export type TargetOptions = z.infer<typeof targetOptions>
type TargetSpec = z.infer<typeof targetSpec>

export function listTargets(specs: ModelsConfig[string]): TargetOptions[] {
  return (Array.isArray(specs) ? specs : [specs]).map(toOptions)
}

function toOptions(spec: TargetSpec): TargetOptions {
  return typeof spec === 'string' ? { target: spec } : spec
}

/** `openai/gpt-5` → its provider's name and the model's. */
export function splitTarget(target: string): { provider: string; model: string } {
  const slash = target.indexOf('/')
  return { provider: target.slice(0, slash), model: target.slice(slash + 1) }
}

/** Faults that the schema cannot find: unknown providers, and a `*` in a target whose public name has none. */
export function checkTargets(models: ModelsConfig, providers: ReadonlySet<string>): Fault[] {
  return Object.entries(models).flatMap(([name, specs]) =>
    listTargets(specs).flatMap(({ target }, index) => {
      const path = ['models', name, ...(Array.isArray(specs) ? [index] : [])]
      const { provider, model } = splitTarget(target)
      if (!providers.has(provider)) return toFaults([{ path, message: unknownProvider(provider, [...providers]) }])
      if (model.includes('*') && !name.endsWith('*'))
        return toFaults([{ path, message: 'has a "*", but the name that it answers for has none' }])
      return []
    }),
  )
}

function unknownProvider(name: string, providers: readonly string[]): string {
  const [nearest] = nearestNames(name, providers)
  if (nearest !== undefined) return `there is no provider "${name}"; did you mean "${nearest}"?`
  return `there is no provider "${name}"${providers.length > 0 ? `; there are ${providers.join(', ')}` : ''}`
}

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
