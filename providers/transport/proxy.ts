import { BlockList, isIP } from 'node:net'
import { ConfigError } from '../../src/errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface Proxy {
  url: URL
  /** The URL without credentials. */
  name: string
  /** Sent to the proxy only. */
  headers: Readonly<Record<string, string>>
  secrets: readonly string[]
}

/** Hosts for which proxy settings of the environment are ignored. */
const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * The proxy for an origin: `HTTPS_PROXY` or `HTTP_PROXY`, depending on its scheme, unless `NO_PROXY` lists it. As in
 * curl, lower-case names take precedence.
 *
 * @throws ConfigError
 */
export function proxyFromEnvironment(origin: URL, environment: Environment): Proxy | undefined {
  if (LOOPBACK.has(origin.hostname.replace(/\.$/, ''))) return undefined
  const [name, value] = readVariable(environment, origin.protocol === 'http:' ? 'HTTP_PROXY' : 'HTTPS_PROXY')
  const [, exceptions] = readVariable(environment, 'NO_PROXY')
  if (value === '' || isExcepted(origin, exceptions)) return undefined
  const proxy = toProxy(/^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `http://${value}`)
  if (proxy) return proxy
  throw new ConfigError([{ path: name, message: 'is not the URL of an HTTP proxy, such as http://proxy.example:3128' }])
}

/** Undefined unless the value is the URL of a supported proxy. */
export function toProxy(value: string): Proxy | undefined {
  if (!URL.canParse(value)) return undefined
  const url = new URL(value)
  if (!/^https?:$/.test(url.protocol) || url.hostname === '') return undefined
  try {
    const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
    const token = Buffer.from(`${user}:${password}`).toString('base64')
    const known = user !== '' || password !== ''
    return {
      url,
      name: url.origin,
      headers: known ? { 'proxy-authorization': `Basic ${token}` } : {},
      secrets: known ? [token, password] : [],
    }
  } catch {
    return undefined // Invalid percent-encoding.
  }
}

function readVariable(environment: Environment, name: string): [name: string, value: string] {
  const lower = name.toLowerCase()
  const value = environment[lower]?.trim()
  return value ? [lower, value] : [name, environment[name]?.trim() ?? '']
}

/**
 * Whether `NO_PROXY` lists an origin: `*`, or names (with subdomains), addresses and networks, each with an optional
 * port.
 */
function isExcepted({ protocol, hostname, port }: URL, exceptions: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
  const actualPort = port || (protocol === 'http:' ? '80' : '443')
  return exceptions.split(/[\s,]+/).some((exception) => {
    if (exception === '*') return true
    const [, bracketed, plain, onlyPort] = /^(?:\[(.*)\]|([^:]*|.*:.*:.*?))(?::(\d+))?$/.exec(exception) ?? []
    if (onlyPort !== undefined && onlyPort !== actualPort) return false
    return includesHost(bracketed ?? plain ?? '', host)
  })
}

function includesHost(exception: string, host: string): boolean {
  const family = familyOf(host)
  const [address = '', bits] = exception.split('/')
  if (familyOf(address) !== undefined)
    return family !== undefined && familyOf(address) === family && isWithin(address, bits, host)
  const name = exception
    .toLowerCase()
    .replace(/^\*?\./, '')
    .replace(/\.$/, '')
  return name !== '' && (host === name || (family === undefined && host.endsWith(`.${name}`)))
}

function isWithin(address: string, bits: string | undefined, host: string): boolean {
  const family = familyOf(address)
  const list = new BlockList()
  const most = family === 'ipv4' ? 32 : 128
  const prefix = bits === undefined ? most : /^\d+$/.test(bits) ? Number(bits) : -1
  if (prefix < 0 || prefix > most) return false
  list.addSubnet(address, prefix, family)
  return list.check(host, family)
}

function familyOf(host: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(host)
  return version === 0 ? undefined : version === 4 ? 'ipv4' : 'ipv6'
}
