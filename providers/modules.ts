import { existsSync, realpathSync } from 'node:fs'
import { isAbsolute, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { z } from 'zod'
import { ConfigError } from '../src/errors.ts'
import { toFaults } from '../src/faults.ts'
import { isRecord } from '../src/json.ts'
import type { ProviderConfig } from './options.ts'
import { findPackage, resolvePackage } from './packages.ts'
import type { Provider } from './provider.ts'

export interface ModuleConfig {
  /** A path or URL of a module, or the name of a package, whose default export is a provider. */
  module: string
  models?: string[] | undefined
}

const method = z.custom((value) => typeof value === 'function', 'expected a function')

/** The fields of a provider that the gateway uses. */
const providerFields = z.object({
  stream: method,
  check: method.optional(),
  close: method.optional(),
  listModels: method.optional(),
  forward: method.optional(),
  routes: z.array(z.string()).optional(),
  countTokens: method.optional(),
  models: z.array(z.string()).optional(),
  exemptFromBreaker: z.boolean().optional(),
})

const exportsSchema = z.object({ default: providerFields }, 'expected an object')

/**
 * Loads a provider from outside this repository. Resolves `module` as an import from the working directory.
 *
 * @throws ConfigError that gives the reason
 */
export async function loadModule(name: string, { module, models }: ModuleConfig): Promise<Provider> {
  const refused = (message: string) => new ConfigError([{ path: `providers.${name}.module`, message }])
  const exports = await importModule(module).catch((error: unknown) => {
    throw refused(`${module} cannot be loaded: ${String(error).replace(/^Error: /, '')}${adviceOn(error)}`)
  })
  if (isProviderModule(exports)) return rename(exports.default, { name, ...(models && { models }) })
  const { error } = exportsSchema.safeParse(exports)
  const faults = toFaults(error?.issues ?? []).map(({ path, message }) => `${path}: ${message}`)
  throw refused(`${module} has no provider as its default export: ${faults.join('; ')}`)
}

async function importModule(module: string): Promise<unknown> {
  return import(toUrl(module))
}

function adviceOn(error: unknown): string {
  const { code } = isRecord(error) ? error : {}
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION') return '; compile TypeScript first, or run Node 22.18 or later'
  if (error instanceof SyntaxError && error.message.includes('import statement outside'))
    return '; name the file .mjs, or set "type": "module" in its package.json'
  return ''
}

function isProviderModule(exports: unknown): exports is { default: Provider } {
  return exportsSchema.safeParse(exports).success
}

/**
 * Overrides these fields of a provider. All others are read from the provider itself, so none is forgotten. Methods are
 * called on it, since they may use its private fields.
 */
function rename(provider: Provider, own: Pick<Provider, 'name' | 'models'>): Provider {
  const fields: Provider = { ...own, stream: (request, context) => provider.stream(request, context) }
  return new Proxy(fields, {
    has: (_, key) => key in fields || key in provider,
    get(_, key): unknown {
      if (Object.hasOwn(fields, key)) return Reflect.get(fields, key)
      const value: unknown = Reflect.get(provider, key)
      return typeof value === 'function' ? value.bind(provider) : value
    },
  })
}

/** True for `./provider.js` or `/opt/provider.js`. Anything else except a URL is a package name, as for `import`. */
function isPath(module: string): boolean {
  return /^\.{0,2}[/\\]/.test(module) || isAbsolute(module)
}

function isUrl(module: string): boolean {
  return /^[a-z][a-z\d+.-]+:/i.test(module)
}

/** @throws Error that gives the reason when nothing can be loaded */
function toUrl(module: string): string {
  if (isUrl(module)) return module
  if (isPath(module)) return pathToFileURL(resolve(module)).href
  const found = findPackage(module, '.')
  if (found) return resolvePackage(found)
  const hint = existsSync(module) ? `the file is ./${module}` : 'a path begins with ./ or /'
  throw new Error(`no such package is installed in ${resolve('node_modules')} or above; ${hint}`)
}

/** The name of the first module provider in a stack trace; undefined if there is none. */
export function findThrower(stack: string, providers: Readonly<Record<string, ProviderConfig>>): string | undefined {
  const owners = Object.entries(providers).flatMap(([name, config]) =>
    config.type === 'module' ? [{ name, owns: ownerOf(config.module) }] : [],
  )
  for (const line of stack.split('\n')) {
    const [, place = ''] = /[ (]((?:[a-z]+:|[/\\]).*):\d+:\d+\)?$/i.exec(line) ?? []
    const owner = owners.find(({ owns }) => owns(place))
    if (owner) return owner.name
  }
  return undefined
}

/**
 * Tests whether a location in a stack trace is in this module or in its package. Stack traces contain URLs (ES modules)
 * or paths (CommonJS), both with symbolic links resolved.
 */
function ownerOf(module: string): (place: string) => boolean {
  if (!isPath(module) && !isUrl(module)) {
    const found = findPackage(module, '.')
    const starts = found ? [found.folder + sep, pathToFileURL(found.folder + sep).href] : []
    return (place) => starts.some((start) => place.startsWith(start))
  }
  const url = toUrl(module)
  if (!url.startsWith('file:')) return (place) => place === url
  const path = fileURLToPath(url)
  const real = existsSync(path) ? realpathSync(path) : path
  return (place) => place === real || place === pathToFileURL(real).href
}
