import { existsSync, realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { z } from 'zod'
import { ConfigError } from '../src/errors.ts'
import { anthropic, anthropicOptions } from './anthropic/anthropic.ts'
import { keySchema } from './endpoint.ts'
import { mock } from './mock/mock.ts'
import { openai, openaiOptions } from './openai/openai.ts'
import type { Provider } from './provider.ts'

const models = z.array(z.string().min(1)).min(1).optional()

/** One key, or several of which each attempt draws one; a key without a weight has the weight 1. */
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
      /** A path or URL of a module whose default export is a provider. */
      module: z.string().min(1),
      models,
      options: z.record(z.string(), z.unknown()).default({}),
    }),
  ],
  'needs a type (mock, openai, anthropic) or a module',
)

/** One entry under `providers` in the configuration; `module` says its own type. */
export const providerConfigSchema = z.preprocess(
  (entry) => (typeof entry === 'object' && entry !== null && 'module' in entry ? { type: 'module', ...entry } : entry),
  builtIn,
)

export type ProviderConfig = z.infer<typeof providerConfigSchema>

/** A key, and how often it is drawn in comparison with the others of its provider. */
export interface Key {
  readonly key: string
  readonly weight: number
}

/** A provider under the name it has in the configuration, with its `options`. */
export interface RegisteredProvider {
  provider: Provider
  options: Record<string, unknown>
  /** Those that attempts are to draw from; none when absent. */
  keys?: readonly Key[]
}

/** @throws ConfigError that says which provider could not be loaded, and why */
export async function loadProvider(name: string, config: ProviderConfig): Promise<RegisteredProvider> {
  switch (config.type) {
    case 'module':
      return loadModule(name, config.module, config.models, config.options)
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

const providerSchema = z.custom<Provider>(
  (value) => typeof value === 'object' && value !== null && 'stream' in value && typeof value.stream === 'function',
)

async function loadModule(
  name: string,
  module: string,
  modelNames: string[] | undefined,
  options: Record<string, unknown>,
): Promise<RegisteredProvider> {
  const refused = (message: string) => new ConfigError([{ path: `providers.${name}.module`, message }])
  const exports: unknown = await import(moduleUrl(module)).catch((error: unknown) => {
    throw refused(`${module} cannot be loaded: ${String(error)}`)
  })
  const parsed = z.object({ default: providerSchema }).safeParse(exports)
  if (!parsed.success) throw refused(`${module} has no provider as its default export`)
  const inner = parsed.data.default
  const provider: Provider = {
    name,
    models: modelNames ?? inner.models ?? [name],
    check: (request) => inner.check?.(request),
    stream: (request, context) => inner.stream(request, context),
    close: async () => inner.close?.(),
  }
  return { provider, options }
}

function moduleUrl(module: string): string {
  return /^(file|data|node):/.test(module) ? module : pathToFileURL(resolve(module)).href
}

/** The name of the module provider that appears first in a stack; undefined if none does. */
export function findThrower(stack: string, providers: Readonly<Record<string, ProviderConfig>>): string | undefined {
  const names = new Map<string, string>()
  for (const [name, config] of Object.entries(providers))
    if (config.type === 'module') for (const place of placesOf(config.module)) names.set(place, name)
  for (const line of stack.split('\n')) {
    const [, place = ''] = /[ (]((?:[a-z]+:|[/\\]).*):\d+:\d+\)?$/i.exec(line) ?? []
    const name = names.get(place)
    if (name !== undefined) return name
  }
  return undefined
}

/** A module's names in stacks: its URL, or its path if it is CommonJS; both with symbolic links resolved. */
function placesOf(module: string): string[] {
  const url = moduleUrl(module)
  if (!url.startsWith('file:')) return [url]
  const path = fileURLToPath(url)
  const real = existsSync(path) ? realpathSync(path) : path
  return [pathToFileURL(real).href, real]
}
