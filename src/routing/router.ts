import type { RegisteredProvider } from '../../providers/registry.ts'
import { invalidField } from '../errors.ts'

export interface Target extends RegisteredProvider {
  /** The name that the provider knows. */
  model: string
}

/** Which provider answers for a model name. */
export class Router {
  readonly #providers: ReadonlyMap<string, RegisteredProvider>
  readonly #defaultModel: string

  constructor(providers: ReadonlyMap<string, RegisteredProvider>, defaultModel: string) {
    this.#providers = providers
    this.#defaultModel = defaultModel
  }

  /**
   * A model that a provider lists, else `provider/model`, else the first provider that takes any model.
   * @throws SluiceError `unknown_model`
   */
  route(name: string = this.#defaultModel): Target {
    for (const registered of this.#providers.values())
      if (registered.provider.models?.includes(name)) return { ...registered, model: name }
    const slash = name.indexOf('/')
    const prefixed = slash > 0 ? this.#providers.get(name.slice(0, slash)) : undefined
    const rest = name.slice(slash + 1)
    if (prefixed && rest && (prefixed.provider.models?.includes(rest) ?? true)) return { ...prefixed, model: rest }
    for (const registered of this.#providers.values())
      if (!registered.provider.models) return { ...registered, model: name }
    throw invalidField('unknown_model', 'model', `no provider offers ${JSON.stringify(name)}`)
  }
}
