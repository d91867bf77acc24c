// The parts of a gateway that choose a provider.

import { isDeepStrictEqual } from 'node:util'
import type { Provider } from '../providers/provider.ts'
import { loadProvider, type RegisteredProvider } from '../providers/registry.ts'
import type { Config } from './config.ts'
import { ModelCatalog, type CatalogObserver } from './routing/model-catalog.ts'
import { Router } from './routing/router.ts'

export interface Routing {
  readonly router: Router
  readonly catalog: ModelCatalog
}

/** Routing, and the configuration that it follows. */
type ConfiguredRouting = Routing & { readonly config: Config }

/**
 * @param given providers that are not in the configuration
 * @param before routing by another configuration: providers that have not changed stay, with their connections and
 * their breakers
 * @throws ConfigError when a provider cannot be loaded
 */
export async function createRouting(
  config: Config,
  given: readonly Provider[],
  observer: CatalogObserver,
  before?: ConfiguredRouting,
): Promise<Routing> {
  const providers = await loadProviders(config, given, before)
  const catalog = new ModelCatalog(config.modelsOnly ? new Map() : providers, observer)
  const breakers =
    before && isDeepStrictEqual(before.config.breaker, config.breaker) ? before.router.breakers : undefined
  const router = new Router(providers, config, { catalog, ...(breakers && { breakers }) })
  for (const [name, each] of before?.router.registered ?? []) if (providers.get(name) !== each) breakers?.forget(name)
  return { router, catalog }
}

/** Providers that are no longer in use. That of a module is, as long as any entry names the module. */
export function replacedProviders(
  { router, config }: ConfiguredRouting,
  before: ConfiguredRouting,
): RegisteredProvider[] {
  const modules = new Set(Object.values(config.providers).map(moduleOf))
  return [...before.router.registered].flatMap(([name, each]) => {
    const module = moduleOf(before.config.providers[name])
    const isUsed = router.registered.get(name) === each || (module !== undefined && modules.has(module))
    return isUsed ? [] : [each]
  })
}

function moduleOf(entry: Config['providers'][string] | undefined): string | undefined {
  return entry?.type === 'module' ? entry.module : undefined
}

/** The given providers, and those of the configuration, which replace them where they have the same name. */
async function loadProviders(
  { providers }: Config,
  given: readonly Provider[],
  before: ConfiguredRouting | undefined,
): Promise<Map<string, RegisteredProvider>> {
  const known = (name: string) => before?.router.registered.get(name)
  const configured = await Promise.all(
    Object.entries(providers).map(async ([name, entry]) => {
      const kept =
        hasFiles(entry) || !isDeepStrictEqual(before?.config.providers[name], entry) ? undefined : known(name)
      return [name, kept ?? (await loadProvider(name, entry))] as const
    }),
  )
  const own = given.map((provider) => [provider.name, ofOwner(provider, known(provider.name))] as const)
  return new Map([...own, ...configured])
}

function ofOwner(provider: Provider, before: RegisteredProvider | undefined): RegisteredProvider {
  return before?.provider === provider ? before : { provider, options: {} }
}

/** Files of certificates may have changed although their names have not. */
function hasFiles(entry: Config['providers'][string]): boolean {
  return 'baseUrl' in entry && (entry.ca !== undefined || entry.cert !== undefined)
}
