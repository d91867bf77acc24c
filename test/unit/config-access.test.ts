import { describe, expect, it } from 'vitest'
import { createKey, hashKey } from '../../src/access/api-keys.ts'
import { ConfigError } from '../../src/errors.ts'
import { load } from './config-file.ts'

function faultsOf(environment: Record<string, string>, ...lines: string[]) {
  try {
    load(environment, ...lines)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  throw new Error('There is no fault')
}

describe('a gateway without callers', () => {
  it.each(['127.0.0.1', 'localhost', '::1', '127.0.0.2'])('listens on this machine: %s', (host) => {
    expect(load({ HOST: host }).host).toBe(host)
  })

  it.each(['0.0.0.0', '::', '192.168.0.7', 'gateway.example', '0', 'localhost.example'])(
    'does not start where others can reach it: %s',
    (host) => {
      expect(faultsOf({ HOST: host })).toEqual([
        { path: 'HOST', message: expect.stringContaining('ALLOW_ANONYMOUS=true') },
      ])
      expect(load({ HOST: host, ALLOW_ANONYMOUS: 'true' }).host).toBe(host)
    },
  )

  it('has no admin port that others can reach, which serves everything, too', () => {
    expect(faultsOf({ ADMIN_PORT: '8081', ADMIN_HOST: '0.0.0.0' })).toEqual([
      { path: 'ADMIN_HOST', message: expect.stringContaining('ALLOW_ANONYMOUS=true') },
    ])
    expect(load({ ADMIN_HOST: '0.0.0.0' }).adminPort).toBeUndefined()
    expect(load({ ADMIN_PORT: '8081', ADMIN_HOST: '0.0.0.0', SLUICE_KEYS: 'ada:k' }).adminPort).toBe(8081)
  })

  it('may listen anywhere once it has callers', () => {
    expect(load({ HOST: '0.0.0.0', SLUICE_KEYS: 'ada:k' }).keys).toHaveLength(1)
    const jwt = 'jwt: { issuer: "https://id.example", audience: a, jwksUrl: "https://id.example/jwks" }'
    expect(load({ HOST: '0.0.0.0' }, jwt).jwt?.jwksUrl).toBe('https://id.example/jwks')
  })
})

describe('keys of callers', () => {
  it('come from the environment and from the file, with their grants', () => {
    const hash = hashKey(createKey())
    const { keys } = load(
      { SLUICE_KEYS: ' ada:a:1 , bob:b2 ' },
      'keys:',
      `  - { name: app, hash: "${hash}", scopes: [chat], models: [gpt-*], limits: { requestsPerMinute: 10, costPerDay: 2.5 } }`,
      'prices: { "gpt-*": { input: 1, output: 2 } }',
    )
    expect(keys).toMatchObject([
      { name: 'app', hash, scopes: ['chat'], models: ['gpt-*'], limits: { requestsPerMinute: 10, costPerDay: 2.5 } },
      { name: 'ada', key: 'a:1', scopes: ['chat', 'read', 'cancel'], limits: {}, actsForUsers: true },
      { name: 'bob', key: 'b2' },
    ])
  })

  it.each(['secret', 'ada:', ':secret', 'a b:secret', 'ada:1,secret'])(
    'are refused without being quoted: %s',
    (value) => {
      const [fault] = faultsOf({ SLUICE_KEYS: value })
      expect(fault).toMatchObject({ path: 'SLUICE_KEYS', message: expect.stringContaining('expected name:key') })
      expect(JSON.stringify(fault)).not.toContain('secret')
    },
  )

  it.each([
    ['  - { name: a }', 'keys[0].hash'],
    ['  - { name: a, key: k, hash: "sha256:00" }', 'keys[0].hash'],
    ['  - { name: "a:b", key: k }', 'keys[0].name'],
    ['  - { name: a, key: k, scopes: [write] }', 'keys[0].scopes[0]'],
    ['  - { name: a, key: k, models: ["*x"] }', 'keys[0].models[0]'],
    ['  - { name: a, key: k, limits: { requestsPerMinute: -1 } }', 'keys[0].limits.requestsPerMinute'],
    ['  - { name: a, key: k, limits: { requests: 1 } }', 'keys[0].limits.requests'],
    ['  - { name: anonymous, key: k }', 'keys[0].name'],
    ['  - { name: a, key: k }\n  - { name: a, key: l }', 'keys[1].name'],
    ['  - { name: a, key: k }\n  - { name: b, key: k }', 'keys[1]'],
    [`  - { name: a, hash: "${hashKey('k')}" }\n  - { name: b, key: k }`, 'keys[1]'],
    ['  - { name: a, key: t }\nmetricsToken: t', 'keys[0]'],
    ['  - { name: a, key: " " }', 'keys[0].key'],
    [`  - { name: a, key: "${hashKey('k')}" }`, 'keys[0].key'],
    ['  - { name: a, key: k, limits: { costPerDay: 1 } }', 'keys[0].limits'],
    ['  - { name: a, key: k, userLimits: { costPerMonth: 1 } }', 'keys[0].userLimits'],
    ['  - { name: a, key: k }\nlimits: { costPerDay: 1 }', 'limits'],
  ])('are refused with the place of the fault: %s', (entry, path) => {
    expect(faultsOf({}, 'keys:', entry).map((fault) => fault.path)).toContain(path)
  })

  it('and ALLOW_ANONYMOUS contradict each other', () => {
    expect(faultsOf({ SLUICE_KEYS: 'ada:k', ALLOW_ANONYMOUS: 'true' })).toMatchObject([{ path: 'ALLOW_ANONYMOUS' }])
  })
})

it.each([
  ['issuer: i, audience: a', 'jwt.jwksUrl'],
  ['issuer: i, audience: a, secret: short', 'jwt.secret'],
  ['issuer: i, audience: a, jwksUrl: "ftp://x/y"', 'jwt.jwksUrl'],
  ['issuer: i, jwksUrl: "https://x/y"', 'jwt.audience'],
  ['issuer: i, audience: a, jwksUrl: "https://x/y", publicKey: p', 'jwt.jwksUrl'],
])('jwt is refused with the place of the fault: %s', (entry, path) => {
  expect(faultsOf({}, `jwt: { ${entry} }`).map((fault) => fault.path)).toContain(path)
})
