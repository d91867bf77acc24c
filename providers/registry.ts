import { pathToFileURL } from 'node:url'
import { resolve } from 'node:path'
import { z } from 'zod'
import { mock } from './mock.ts'
import { openai, openaiOptions } from './openai.ts'
import type { Provider } from './provider.ts'

const models = z.array(z.string().min(1)).min(1).optional()

const builtIn = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('mock'), models }),
    z.strictObject({ type: z.literal('openai'), models, ...openaiOptions.shape }),
    z.strictObject({
      type: z.literal('module'),
      /** A path or URL of a module whose default export is a provider. */
      module: z.string().min(1),
      models,
      options: z.record(z.string(), z.unknown()).default({}),
    }),
  ],
  'needs a type (mock, openai) or a module',
)

/** One entry under `providers` in the configuration; `module` says its own type. */
export const providerConfigSchema = z.preprocess(
  (entry) => (typeof entry === 'object' && entry !== null && 'module' in entry ? { type: 'module', ...entry } : entry),
  builtIn,
)

export type ProviderConfig = z.infer<typeof providerConfigSchema>

/** A provider under the name it has in the configuration, with its `options`. */
export interface RegisteredProvider {
  provider: Provider
  options: Record<string, unknown>
}

/** @throws Error that says which provider could not be loaded, and why. */
export async function loadProvider(name: string, config: ProviderConfig): Promise<RegisteredProvider> {
  switch (config.type) {
    case 'module':
      return loadModule(name, config.module, config.models, config.options)
    case 'mock':
      return { provider: mock({ name, models: config.models ?? [name] }), options: {} }
    case 'openai':
      return { provider: openai({ name, ...config }), options: {} }
  }
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
  const url = /^(file|data|node):/.test(module) ? module : pathToFileURL(resolve(module)).href
  const exports: unknown = await import(url).catch((error: unknown) => {
    throw new Error(`providers.${name}.module: ${module} cannot be loaded: ${String(error)}`, { cause: error })
  })
  const parsed = z.object({ default: providerSchema }).safeParse(exports)
  if (!parsed.success) throw new Error(`providers.${name}.module: ${module} has no provider as its default export`)
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
