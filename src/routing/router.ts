import type { Provider } from '../../providers/provider.ts'
import type { RegisteredProvider } from '../../providers/registry.ts'
import type { ModelFilter } from '../access/allowed-models.ts'
import { ORIGINAL, type ChatInput } from '../chat-request.ts'
import type { Config } from '../config.ts'
import { ConfigError, invalidField, SluiceError, toSluiceError } from '../errors.ts'
import { recordOrEmpty } from '../json.ts'
import type { Wire } from '../wires/wire.ts'
import { Breaker, Breakers } from './breaker.ts'
import type { ModelCatalog } from './model-catalog.ts'
import { ModelTable, checkTargets, type Entry } from './model-table.ts'
import { NameResolver } from './name-resolver.ts'
import { nearestNames } from './nearest-names.ts'
import { drawOrder, type Plan, type Target, type Random } from './target.ts'
import { ADD_VENDOR } from './vendor-names.ts'

const RETRIES = 2
const CONNECT_TIMEOUT_MS = 10_000

/** The part of the configuration that routing reads. */
export type RouterConfig = Pick<
  Config,
  'defaultModel' | 'models' | 'modelsOnly' | 'breaker' | 'firstTokenTimeoutMs' | 'idleTimeoutMs'
>

export interface RouterOptions {
  random?: Random
  /** A monotonic clock, in milliseconds. */
  now?: () => number
  /** The models that providers list by themselves. */
  catalog?: ModelCatalog
  /** Those of a router before this one; by default all are closed. */
  breakers?: Breakers
}

/** A model that requests can name, and the provider that is tried first. */
export interface ListedModel {
  id: string
  provider: string
}

/** Finds the targets for a model name. */
export class Router {
  /** By name. */
  readonly registered: ReadonlyMap<string, RegisteredProvider>
  readonly breakers: Breakers
  readonly #config: RouterConfig
  readonly #table: ModelTable
  readonly #names: NameResolver
  readonly #random: Random
  readonly #catalog: ModelCatalog | undefined
  /** What the catalog adds to the list; kept until it changes, because each unknown name is compared with it. */
  #fetched: { version: number; models: ListedModel[] } = { version: 0, models: [] }

  /** @throws ConfigError when `models` names an unknown provider */
  constructor(
    providers: ReadonlyMap<string, RegisteredProvider>,
    config: RouterConfig,
    { random = Math.random, now, catalog, breakers }: RouterOptions = {},
  ) {
    const faults = checkTargets(config.models, new Set(providers.keys()))
    if (faults.length > 0) throw new ConfigError(faults)
    this.registered = providers
    this.#config = config
    this.#table = new ModelTable(config.models)
    this.#names = new NameResolver(
      mapValues(providers, ({ provider }) => provider),
      this.#table,
      config,
    )
    this.breakers = breakers ?? new Breakers({ ...config.breaker, ...(now && { now }) })
    this.#random = random
    this.#catalog = catalog
  }

  /**
   * The targets for a request in the order to try them, without targets that cannot serve it.
   *
   * @param wire of the request's protocol
   * @throws SluiceError `unknown_model`, `model_not_allowed`, or the first target's refusal when all targets refuse the
   * request
   */
  plan(
    named: string | undefined = this.#config.defaultModel,
    request: ChatInput,
    wire?: Wire,
    allows?: ModelFilter,
  ): Plan {
    const model = required(named)
    const targets = this.#targetsOf(model, wire, allows)
    const checks = targets.map((target) => check(target, request))
    const [first, ...others] = targets.filter((_, index) => !checks[index]?.refusal)
    const ignored = checks.find(({ refusal }) => !refusal)?.ignored ?? []
    if (first) return { model, targets: [first, ...others], ...(ignored.length > 0 && { ignored }) }
    throw checks[0]?.refusal ?? this.#unknown(model, allows)
  }

  /**
   * The targets for a request that is passed on to a route, without targets whose provider does not serve it.
   *
   * @throws SluiceError `unknown_model`, `model_not_allowed`, or `not_found` when no target's provider serves the route
   */
  planForward(model: string | undefined = this.#config.defaultModel, route: string, allows?: ModelFilter): Plan {
    const name = required(model)
    const targets = this.#targetsOf(name, 'openai', allows)
    const [first, ...others] = targets.filter(({ provider }) => serves(provider, route))
    if (first) return { model: name, targets: [first, ...others] }
    const names = new Set(targets.map(({ provider }) => provider.name))
    if (names.size === 0) throw this.#unknown(name, allows)
    throw invalidField('not_found', 'model', `${route} is not offered by ${[...names].join(', ')}`)
  }

  /** @throws SluiceError `model_not_allowed` when there are targets and none is allowed */
  #targetsOf(name: string, wire?: Wire, allows?: ModelFilter): Target[] {
    const found = this.#names.find(name, wire)
    const allowed = allows ? found.filter((entry) => allows(name, nameOf(entry))) : found
    if (found.length > 0 && allowed.length === 0)
      throw invalidField('model_not_allowed', 'model', `${JSON.stringify(name)} is not allowed for this caller`)
    return this.#order(allowed).map((entry) => this.#toTarget(entry))
  }

  /**
   * All models with a full name (no wildcards), each once: first the configuration's, then the providers', then those of
   * the upstreams' lists, with the provider as prefix.
   */
  models(allows?: ModelFilter): ListedModel[] {
    const listed = new Map<string, string>()
    for (const name of this.#table.names) listed.set(name, this.#table.find(name)[0]?.provider ?? '')
    for (const [provider, registered] of this.registered) {
      for (const model of registered.provider.models ?? []) {
        const leadsHere = (name: string) =>
          this.#names.find(name, undefined).some((entry) => entry.provider === provider && entry.model === model)
        const id = [model, `${provider}/${model}`].find(leadsHere)
        if (id !== undefined && !listed.has(id)) listed.set(id, provider)
      }
    }
    const own = [...listed].map(([id, provider]) => ({ id, provider }))
    const all = [...own, ...this.#fromCatalog().filter(({ id }) => !listed.has(id))]
    return allows ? all.filter(({ id }) => this.#findAllowed(id, undefined, allows)) : all
  }

  #findAllowed(name: string, wire: Wire | undefined, allows: ModelFilter = () => true): Entry | undefined {
    return this.#names.find(name, wire).find((entry) => allows(name, nameOf(entry)))
  }

  #fromCatalog(): readonly ListedModel[] {
    const { version } = this.#catalog ?? this.#fetched
    if (version === this.#fetched.version) return this.#fetched.models
    const models = [...this.registered.keys()].flatMap((provider) =>
      (this.#catalog?.modelsOf(provider) ?? [])
        .filter((model) => {
          const [first] = this.#names.find(`${provider}/${model}`, undefined)
          return first?.provider === provider && first.model === model
        })
        .map((model) => ({ id: `${provider}/${model}`, provider })),
    )
    this.#fetched = { version, models }
    return models
  }

  /**
   * Any model that a request could name, listed or not.
   *
   * @throws SluiceError `unknown_model`, also when it is not allowed
   */
  lookUp(name: string, wire?: Wire, allows?: ModelFilter): ListedModel {
    const first = this.#findAllowed(name, wire, allows)
    if (!first) throw this.#unknown(name, allows)
    return { id: name, provider: first.provider }
  }

  /** The provider that gets requests of this wire for models that nothing else claims; undefined when there is none. */
  catchAll(wire?: Wire): string | undefined {
    return this.#names.catchAll(wire)
  }

  /** The names of all providers. */
  get providers(): string[] {
    return [...this.registered.keys()]
  }

  /** How many targets of a provider have an open circuit breaker. */
  openBreakers(provider: string): number {
    return this.breakers.countOpen(provider)
  }

  #unknown(name: string, allows?: ModelFilter): SluiceError {
    // For the next time: this request does not wait.
    void this.#catalog?.refresh()
    const vendor = this.#names.missingVendor(name)
    const nearest = nearestNames(
      name,
      this.models(allows).map(({ id }) => id),
    )
    const advice = [
      ...(vendor && !this.#config.modelsOnly ? [ADD_VENDOR[vendor]] : []),
      ...(nearest.length > 0 ? [`did you mean ${nearest.map((each) => JSON.stringify(each)).join(', ')}?`] : []),
    ]
    const words = [`no provider offers ${JSON.stringify(name)}`, ...advice].join('; ')
    return invalidField('unknown_model', 'model', words)
  }

  /** Targets with a weight first, in an order drawn by weight; then the others in configured order. */
  #order(entries: readonly Entry[]): Entry[] {
    const pool = entries.flatMap((entry) => (entry.weight === undefined ? [] : [{ entry, weight: entry.weight }]))
    const drawn = drawOrder(pool, this.#random).map(({ entry }) => entry)
    return [...drawn, ...entries.filter(({ weight }) => weight === undefined)]
  }

  #toTarget({ provider: name, model, ...limits }: Entry): Target {
    const registered = this.registered.get(name)
    if (!registered) throw new Error(`There is no provider ${name}, although the configuration was checked`)
    const { provider, options, keys = [] } = registered
    return {
      name: nameOf({ provider: name, model }),
      provider,
      model,
      options,
      keys,
      timeouts: {
        connectTimeoutMs: limits.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
        firstTokenTimeoutMs: limits.firstTokenTimeoutMs ?? this.#config.firstTokenTimeoutMs,
        idleTimeoutMs: limits.idleTimeoutMs ?? this.#config.idleTimeoutMs,
        totalTimeoutMs: limits.totalTimeoutMs,
      },
      retries: limits.retries ?? RETRIES,
      breaker: provider.exemptFromBreaker ? unbreakable() : this.breakers.of(name, model),
    }
  }
}

function nameOf({ provider, model }: Pick<Entry, 'provider' | 'model'>): string {
  return `${provider}/${model}`
}

function required(model: string | undefined): string {
  if (model !== undefined) return model
  throw invalidField('invalid_request', 'model', 'is required where DEFAULT_MODEL is not set')
}

function serves(provider: Provider, route: string): boolean {
  return typeof provider.forward === 'function' && (provider.routes?.includes(route) ?? true)
}

/** A breaker for one request that never opens: failures that a request provokes must not affect other requests. */
function unbreakable(): Breaker {
  return new Breaker({ failures: Infinity, cooldownMs: 0 })
}

/** The error with which a target's provider refuses a request, or the parameters that it leaves out. */
function check({ provider, model }: Target, request: ChatInput): { refusal?: SluiceError; ignored?: string[] } {
  const refusal = request[ORIGINAL]?.refusal
  if (refusal && !provider.takesResponses?.(model)) return { refusal }
  try {
    const checked = provider.check?.({ ...request, model })
    return { ignored: readNames(checked) }
  } catch (error) {
    if (error instanceof SluiceError) return { refusal: toSluiceError(error) }
    throw error
  }
}

/** A module may return anything; the names are sent in a header. */
function readNames(checked: unknown): string[] {
  const names = recordOrEmpty(checked).ignored
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string' && /^[\w.-]{1,64}$/.test(name)) : []
}

function mapValues<V, W>(map: ReadonlyMap<string, V>, toValue: (value: V) => W): Map<string, W> {
  return new Map([...map].map(([key, value]) => [key, toValue(value)]))
}
