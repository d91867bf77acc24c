import { describe, expect, it } from 'vitest'
import { parseRedisUrl } from '../../src/store/backplane/redis-url.ts'

describe('the URL of Redis', () => {
  it.each([
    ['redis://redis', { kind: 'server', nodes: [{ host: 'redis', port: 6379 }], tls: false, database: 0 }],
    ['redis://127.0.0.1:7000/3', { nodes: [{ host: '127.0.0.1', port: 7000 }], database: 3 }],
    ['rediss://[::1]:7000', { nodes: [{ host: '::1', port: 7000 }], tls: true }],
    ['redis://:p%40ss@redis', { username: undefined, password: 'p@ss' }],
    ['redis://sluice:a:b@redis', { username: 'sluice', password: 'a:b' }],
    ['redis+cluster://a:1,b:2,c', { kind: 'cluster', nodes: [{ port: 1 }, { port: 2 }, { host: 'c', port: 6379 }] }],
    [
      'rediss+sentinel://u:p@a,b:2/main',
      { kind: 'sentinel', tls: true, master: 'main', nodes: [{ port: 26_379 }, {}] },
    ],
  ])('%s', (url, address) => {
    expect(parseRedisUrl(url)).toMatchObject(address)
  })

  it.each([
    ['http://redis', 'expected redis://'],
    ['redis://', 'expected redis://'],
    ['redis://a,b', 'redis+cluster://'],
    ['redis://a:secret-port', 'name:port'],
    ['redis://a:99999', 'name:port'],
    ['redis://a/main', 'number of a database'],
    ['redis+sentinel://a', 'name of the master'],
    ['redis+cluster://a/1', 'no databases'],
    ['redis://u:%zz@a', 'user and password'],
  ])('refuses %s without quoting it', (url, reason) => {
    const parse = () => parseRedisUrl(url)
    expect(parse).toThrow(SyntaxError)
    expect(parse).toThrow(reason)
    expect(parse).not.toThrow('secret')
  })
})
