import { z } from 'zod'
import { isRecord } from '../src/json.ts'
import { anthropic, anthropicOptions } from './anthropic/anthropic.ts'
import { keySchema } from './endpoint.ts'
import { mock } from './mock/mock.ts'
import { loadModule } from './modules.ts'
import { openai, openaiOptions } from './openai/openai.ts'
import type { Provider } from './provider.ts'

const models = z.array(z.string().min(1)).min(1).optional()

/** One key, or several: each attempt draws one by weight. The default weight is 1. */
const apiKey = z
  .union(
    [
      keySchema,
      z
        .array(
          z.union([keySchema, z.strictObject({ key: keySchema, weight: z.coerce.number().positive().optional() })]),
        )
        .min(1),
    ],
    'expected a key or a list of keys',
  )
  .optional()

const builtIn = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('mock'), models }),
    z.strictObject({ type: z.literal('openai'), models, ...openaiOptions.shape, apiKey }),
    z.strictObject({ type: z.literal('anthropic'), models, ...anthropicOptions.shape, apiKey }),
    z.strictObject({
      type: z.literal('module'),
      /** A path or URL of a module, or the name of a package, whose default export is a provider. */
      module: z.string().min(1),
      models,
      apiKey,
      options: z.record(z.string(), z.unknown()).default({}),
    }),
  ],
  'needs a type (mock, openai, anthropic) or a module',
)

/** One entry under `providers` in the configuration. The field `module` implies its `type`. */
export const providerConfigSchema = z.preprocess(
  (entry) => (isRecord(entry) && 'module' in entry ? { type: 'module', ...entry } : entry),
  builtIn,
)

export type ProviderConfig = z.infer<typeof providerConfigSchema>

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
}

/** @throws ConfigError that names the provider and the reason */
export async function loadProvider(name: string, config: ProviderConfig): Promise<RegisteredProvider> {
  switch (config.type) {
    case 'module':
      return { provider: await loadModule(name, config), options: config.options, keys: toKeys(config.apiKey) }
    case 'mock':
      return { provider: mock({ name, models: config.models ?? [name] }), options: {} }
    case 'openai': {
      const keys = toKeys(config.apiKey)
      return { provider: openai({ ...config, name, ...toKeyOptions(keys) }), options: {}, keys }
    }
    case 'anthropic': {
      const keys = toKeys(config.apiKey)
      return { provider: anthropic({ ...config, name, ...toKeyOptions(keys) }), options: {}, keys }
    }
  }
}

function toKeys(configured: z.infer<typeof apiKey> = []): Key[] {
  return (Array.isArray(configured) ? configured : [configured]).map((item) =>
    typeof item === 'string' ? { key: item, weight: 1 } : { key: item.key, weight: item.weight ?? 1 },
  )
}

function toKeyOptions(keys: readonly Key[]): { apiKey: string | undefined; keys: string[] } {
  return { apiKey: keys[0]?.key, keys: keys.map(({ key }) => key) }
}
