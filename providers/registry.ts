import { anthropic } from './anthropic/anthropic.ts'
import { mock } from './mock/mock.ts'
import { loadModule } from './modules.ts'
import { openai } from './openai/openai.ts'
import type { Keys, ProviderConfig } from './options.ts'
import type { Provider } from './provider.ts'

/** A key and its weight: how often it is drawn relative to the provider's other keys. */
export interface Key {
  readonly key: string
  readonly weight: number
}

/** A provider with its configured name and `options`. */
export interface RegisteredProvider {
  provider: Provider
  options: Record<string, unknown>
  /** Keys from which attempts draw; absent when there are none. */
  keys?: readonly Key[]
  /** False: it is not asked for its models. */
  listModels?: boolean | undefined
}

/** @throws ConfigError that names the provider and the reason */
export async function loadProvider(name: string, config: ProviderConfig): Promise<RegisteredProvider> {
  switch (config.type) {
    case 'module':
      return {
        provider: await loadModule(name, config),
        options: config.options,
        keys: toKeys(config.apiKey),
        listModels: config.listModels,
      }
    case 'mock':
      return { provider: mock({ name, models: config.models ?? [name] }), options: {} }
    case 'openai': {
      const { listModels } = config
      const keys = toKeys(config.apiKey)
      return { provider: openai({ ...config, name, ...toKeyOptions(keys) }), options: {}, keys, listModels }
    }
    case 'anthropic': {
      const { listModels } = config
      const keys = toKeys(config.apiKey)
      return { provider: anthropic({ ...config, name, ...toKeyOptions(keys) }), options: {}, keys, listModels }
    }
  }
}

function toKeys(configured: Keys = []): Key[] {
  return (Array.isArray(configured) ? configured : [configured]).map((item) =>
    typeof item === 'string' ? { key: item, weight: 1 } : { key: item.key, weight: item.weight ?? 1 },
  )
}

function toKeyOptions(keys: readonly Key[]): { apiKey: string | undefined; keys: string[] } {
  return { apiKey: keys[0]?.key, keys: keys.map(({ key }) => key) }
}
