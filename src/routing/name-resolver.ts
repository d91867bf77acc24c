import type { Provider } from '../../providers/provider.ts'
import type { Wire } from '../wires/wire.ts'
import type { Entry, ModelTable } from './model-table.ts'
import { vendorOfName, type NamedVendor } from './vendor-names.ts'

/** Resolves model names to targets: first by the configuration, then by what providers offer. */
export class NameResolver {
  readonly #providers: ReadonlyMap<string, Provider>
  readonly #table: ModelTable
  readonly #modelsOnly: boolean

  constructor(providers: ReadonlyMap<string, Provider>, table: ModelTable, { modelsOnly }: { modelsOnly: boolean }) {
    this.#providers = providers
    this.#table = table
    this.#modelsOnly = modelsOnly
  }

  /**
   * Configured targets; else the provider that lists the model, has this name or prefix, or is likely to know it.
   *
   * @param wire of the request's protocol
   */
  find(name: string, wire: Wire | undefined): Entry[] {
    const configured = this.#table
      .find(name)
      .filter((entry) => !entry.wild || this.#offers(entry.provider, entry.model))
    if (configured.length > 0 || this.#modelsOnly) return configured
    for (const [provider, { models }] of this.#providers) if (models?.includes(name)) return [{ provider, model: name }]
    const namesake = this.#providers.get(name)
    if (namesake && !namesake.models) return [{ provider: name, model: name }]
    const slash = name.indexOf('/')
    const [prefix, rest] = [name.slice(0, Math.max(0, slash)), name.slice(slash + 1)]
    // A request that names one provider is never sent to another.
    if (rest && this.#providers.has(prefix))
      return this.#offers(prefix, rest) ? [{ provider: prefix, model: rest }] : []
    const provider = this.#choose(vendorOfName(name), wire)
    return provider === undefined ? [] : [{ provider, model: name }]
  }

  /** The provider of names that nothing else claims, and that are no vendor's. */
  catchAll(wire: Wire | undefined): string | undefined {
    return this.#choose(undefined, wire)
  }

  /** The vendor of a name, when none of its providers accepts any model. */
  missingVendor(name: string): NamedVendor | undefined {
    const vendor = vendorOfName(name)
    return vendor && !this.#ofVendor(vendor) && this.#likely(vendor).length === 0 ? vendor : undefined
  }

  /** The vendor's provider; else the only one that may offer its models, of those with the request's wire or of all. */
  #choose(vendor: NamedVendor | undefined, wire: Wire | undefined): string | undefined {
    if (!vendor) return chooseByWire(this.#open, wire)
    const likely = this.#likely(vendor)
    return (
      this.#ofVendor(vendor) ??
      likely.find(([name]) => name === vendor)?.[0] ??
      only(likely) ??
      chooseByWire(
        this.#open.filter(([, provider]) => provider.vendor === undefined),
        wire,
      )
    )
  }

  /** Providers that accept any model; none when only configured names are accepted. */
  get #open(): Candidates {
    return this.#modelsOnly ? [] : [...this.#providers].filter(([, { models }]) => !models)
  }

  #ofVendor(vendor: NamedVendor): string | undefined {
    return this.#open.find(([, provider]) => provider.vendor === vendor)?.[0]
  }

  /** Providers of the vendor's type whose address is nobody's: a company's own gateway, for example. */
  #likely(vendor: NamedVendor): Candidates {
    return this.#open.filter(([, provider]) => provider.vendor === undefined && provider.wire === vendor)
  }

  #offers(provider: string, model: string): boolean {
    const known = this.#providers.get(provider)
    return known !== undefined && (known.models?.includes(model) ?? true)
  }
}

type Candidates = readonly (readonly [name: string, provider: Provider])[]

function chooseByWire(candidates: Candidates, wire: Wire | undefined): string | undefined {
  return only(candidates) ?? only(candidates.filter(([, provider]) => wire !== undefined && provider.wire === wire))
}

function only(candidates: Candidates): string | undefined {
  return candidates.length === 1 ? candidates[0]?.[0] : undefined
}
