import { isPlainRecord } from './json.ts'

/** Fields of a provider's entry that contain no secret. */
const HARMLESS_OF_PROVIDER: ReadonlySet<string> = new Set([
  'type',
  'api',
  'models',
  'listModels',
  'module',
  'baseUrl',
  'ca',
  'cert',
  'proxy',
])

/** Fields of a key, and of `jwt`, that contain no secret. */
const HARMLESS_OF_CALLER: ReadonlySet<string> = new Set([
  'name',
  'issuer',
  'audience',
  'jwksUrl',
  'ownerClaim',
  'scopesClaim',
  'scopes',
  'models',
  'limits',
  'userLimits',
])

/** Names that suggest a secret: numbers are shown except under these names. */
const SECRET_NUMBER = /key|secret|pass|pwd|credential/i

export const MASK = '********'

/**
 * The configuration without its secrets. Masks every value unless it is known to be harmless: a plugin's secret may
 * have any name.
 *
 * @param harmless names of top-level settings that contain no secret
 */
export function maskConfig(config: unknown, harmless: ReadonlySet<string>): unknown {
  const maskCaller = (entry: unknown) => mapRecord(entry, (item, of) => maskUnless(HARMLESS_OF_CALLER, item, of))
  return mapRecord(config, (value, name) => {
    if (name === 'keys' && Array.isArray(value)) return value.map(maskCaller)
    if (name === 'jwt') return maskCaller(value)
    if (name !== 'providers') return maskUnless(harmless, value, name)
    return mapRecord(value, (entry) => mapRecord(entry, (item, of) => maskUnless(HARMLESS_OF_PROVIDER, item, of)))
  })
}

function maskUnless(harmless: ReadonlySet<string>, value: unknown, name: string): unknown {
  return harmless.has(name)
    ? mapLeaves(value, (leaf) => (typeof leaf === 'string' ? maskUrl(leaf) : leaf))
    : mapLeaves(value, maskLeaf, name)
}

function maskLeaf(value: unknown, name: string): unknown {
  if (value === null || value === undefined || value === '' || typeof value === 'boolean') return value
  return typeof value === 'number' && !SECRET_NUMBER.test(name) ? value : MASK
}

/** Masks a URL's credentials, query values and `data:` content. */
export function maskUrl(value: string): string {
  const [, address = value, query = ''] = /^([a-z][a-z\d+.-]*:\/\/[^?#]*)(.*)$/is.exec(value) ?? []
  return (
    address.replace(/^data:.*$/is, `data:${MASK}`).replace(/:\/\/[^/\s]+@/, `://${MASK}@`) +
    query.replace(/([?&#])([^=&#]*=)?[^&#]+/g, `$1$2${MASK}`)
  )
}

/** Shorter texts are too likely to be ordinary words. */
const MIN_SECRET = 4

/** The texts in a configuration that `maskConfig` masks, and the parts of URLs among them. */
export function maskedTexts(value: unknown, masked: unknown): string[] {
  if (typeof value === 'string') {
    if (value === masked || typeof masked !== 'string') return []
    const parts = URL.canParse(value) ? value.split(/[/?&#=@:]+/).filter((part) => !masked.includes(part)) : []
    return [...(masked === MASK ? [value] : []), ...parts].filter(({ length }) => length >= MIN_SECRET)
  }
  if (Array.isArray(value) && Array.isArray(masked)) return value.flatMap((item, at) => maskedTexts(item, masked[at]))
  if (!isPlainRecord(value) || !isPlainRecord(masked)) return []
  return Object.entries(value).flatMap(([name, item]) => maskedTexts(item, masked[name]))
}

function mapRecord(value: unknown, map: (item: unknown, name: string) => unknown): unknown {
  if (!isPlainRecord(value)) return maskLeaf(value, '')
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, map(item, name)]))
}

/** @param name of the leaf, or of the list that contains it */
function mapLeaves(value: unknown, map: (leaf: unknown, name: string) => unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => mapLeaves(item, map, name))
  if (isPlainRecord(value)) return mapRecord(value, (item, key) => mapLeaves(item, map, key))
  return map(value, name)
}
