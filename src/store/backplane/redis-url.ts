// Where Redis is: one server, a Cluster, or a master that Sentinels know; as one URL.

/** `host:port`, as in a URL. */
export interface RedisNode {
  readonly host: string
  readonly port: number
}

export interface RedisAddress {
  readonly kind: 'server' | 'cluster' | 'sentinel'
  readonly nodes: readonly [RedisNode, ...RedisNode[]]
  readonly tls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  /** The database of a server or of a master. */
  readonly database: number
  /** The name under which Sentinels know the master. */
  readonly master: string
}

const REDIS_PORT = 6379
const SENTINEL_PORT = 26_379

const FORMS = 'redis://host:port, redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/master'

const URL_FORM = /^(redis|rediss)(?:\+(cluster|sentinel))?:\/\/(?:([^@/]*)@)?([^/?#]+)(?:\/([^?#]*))?$/

/**
 * `redis://user:password@host:port/database`, or with several hosts after `redis+cluster://` or `redis+sentinel://`;
 * the last one ends with the name of the master. `rediss` is Redis over TLS.
 *
 * @throws SyntaxError, which does not quote the URL: it holds a password
 */
export function parseRedisUrl(url: string): RedisAddress {
  const [, scheme, kind = 'server', credentials = '', hosts = '', path = ''] = URL_FORM.exec(url) ?? []
  if (scheme === undefined) throw new SyntaxError(`expected ${FORMS}`)
  const [first, ...others] = hosts
    .split(',')
    .map((host) => parseNode(host, kind === 'sentinel' ? SENTINEL_PORT : REDIS_PORT))
  if (!first || (kind === 'server' && others.length > 0))
    throw new SyntaxError(`expected one host, or redis+cluster:// or redis+sentinel:// for several`)
  if (kind === 'sentinel' && path === '') throw new SyntaxError('expected the name of the master after the hosts')
  if (kind === 'cluster' && path !== '')
    throw new SyntaxError('a Cluster has no databases: nothing can follow its hosts')
  if (kind === 'server' && !/^\d*$/.test(path))
    throw new SyntaxError('expected the number of a database after the host')
  const [username, password] = parseCredentials(credentials)
  return {
    kind: kind === 'cluster' ? 'cluster' : kind === 'sentinel' ? 'sentinel' : 'server',
    nodes: [first, ...others],
    tls: scheme === 'rediss',
    username,
    password,
    database: kind === 'server' ? Number(path) : 0,
    master: kind === 'sentinel' ? path : '',
  }
}

function parseNode(text: string, usual: number): RedisNode {
  const [, v6, name, port] = /^(?:\[([\da-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = v6 ?? name
  if (host === undefined || Number(port) > 65_535) throw new SyntaxError('expected each host as name:port')
  return { host, port: port === undefined ? usual : Number(port) }
}

function parseCredentials(text: string): [username: string | undefined, password: string | undefined] {
  if (text === '') return [undefined, undefined]
  const [, username = '', password] = /^([^:]*)(?::(.*))?$/s.exec(text) ?? []
  try {
    return [decodeURIComponent(username) || undefined, password && decodeURIComponent(password)]
  } catch {
    throw new SyntaxError('expected user and password with % before special characters: %40 for @')
  }
}
