import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isRecord } from '../src/json.ts'

/**
 * An installed package. Packages are resolved like imports of a module in the working directory. Node offers this only
 * to modules there: `import.meta.resolve` starts at the calling file, and `require.resolve` uses other conditions,
 * which may match nothing or the CommonJS build.
 */
export interface Package {
  /** With symbolic links resolved, as in stack traces. */
  folder: string
  /** `.`, or `./sub` for the specifier `package/sub`. */
  subpath: string
}

/** Undefined when no such package is installed in `from` or above. */
export function findPackage(specifier: string, from: string): Package | undefined {
  const [name = ''] = /^(@[^/]+\/)?[^/]+/.exec(specifier) ?? []
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const place = join(folder, 'node_modules', name)
    if (existsSync(place)) return { folder: realpathSync(place), subpath: `.${specifier.slice(name.length)}` }
    if (folder === dirname(folder)) return undefined
  }
}

/** The URL of the package's export for its subpath. @throws Error when there is no such export */
export function resolvePackage({ folder, subpath }: Package): string {
  const exports = readExports(join(folder, 'package.json'))
  if (exports === undefined || exports === null) {
    // `require` resolves a folder to its `main`.
    const path = subpath === '.' ? createRequire(join(folder, 'package.json')).resolve(folder) : join(folder, subpath)
    return pathToFileURL(path).href
  }
  const path = findExport(exports, subpath)
  if (path === undefined || path === null) throw new Error(`its package.json exports nothing as ${subpath}`)
  return pathToFileURL(join(folder, path)).href
}

function readExports(file: string): unknown {
  const manifest: unknown = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
  return isRecord(manifest) ? manifest.exports : undefined
}

/** https://nodejs.org/api/esm.html#resolution-algorithm-specification, PACKAGE_EXPORTS_RESOLVE */
function findExport(exports: unknown, subpath: string): string | null | undefined {
  const isTable = isRecord(exports) && Object.keys(exports).some((key) => key.startsWith('.'))
  if (!isTable) return subpath === '.' ? findTarget(exports) : undefined
  if (subpath in exports && !subpath.includes('*')) return findTarget(exports[subpath])
  const patterns = Object.keys(exports)
    .filter((key) => key.split('*').length === 2)
    .map((key) => ({ key, before: key.slice(0, key.indexOf('*')), after: key.slice(key.indexOf('*') + 1) }))
    .filter(
      ({ key, before, after }) =>
        subpath.length >= key.length && subpath.startsWith(before) && subpath !== before && subpath.endsWith(after),
    )
    .toSorted((a, b) => b.before.length - a.before.length || b.key.length - a.key.length)
  const [best] = patterns
  if (!best) return undefined
  const matched = subpath.slice(best.before.length, subpath.length - best.after.length)
  return findTarget(exports[best.key])?.replaceAll('*', () => matched)
}

/** Conditions that Node applies to `import`. */
const CONDITIONS: ReadonlySet<string> = new Set(['node', 'import', 'module-sync', 'node-addons', 'default'])

/** The first target whose conditions match; null when it excludes the subpath or is not a path within the package. */
function findTarget(target: unknown): string | null | undefined {
  if (typeof target === 'string') return target.startsWith('./') ? target : null
  if (Array.isArray(target)) {
    const found = target.map(findTarget)
    return (
      found.find((each) => typeof each === 'string') ?? (found.length === 0 || found.includes(null) ? null : undefined)
    )
  }
  if (!isRecord(target)) return null
  for (const [condition, inner] of Object.entries(target)) {
    const found = CONDITIONS.has(condition) ? findTarget(inner) : undefined
    if (found !== undefined) return found
  }
  return undefined
}
