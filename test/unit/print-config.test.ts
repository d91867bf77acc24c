import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { loadConfig, printConfig, type Config } from '../../src/config.ts'
import { load } from './config-file.ts'

function print(providers: Record<string, unknown>): string {
  return printConfig({ ...load({}), providers: providers as Config['providers'] })
}

describe('printConfig', () => {
  it('prints every setting in force, as YAML that says the same', () => {
    const config = load({ PORT: '81', STREAM_MAX_BYTES: '1mb' })
    expect(parse(printConfig(config))).toEqual(config)
  })

  it('masks the keys of callers, and shows who they are', () => {
    const config = loadConfig({
      environment: { SLUICE_KEYS: 'alice:hunter2', METRICS_TOKEN: 'hunter3', TICKET_SECRET: 'hunter4,hunter5' },
    })
    const jwt = { name: 'jwt', issuer: 'https://id.example', audience: 'a', secret: 'hunter6', ownerClaim: 'sub' }
    const printed = printConfig({ ...config, jwt: { ...jwt, scopes: ['chat'], limits: {}, userLimits: {} } })
    expect(printed).not.toContain('hunter')
    expect(parse(printed)).toMatchObject({
      keys: [{ name: 'alice', key: '********', scopes: ['chat', 'read', 'cancel'] }],
      jwt: { issuer: 'https://id.example', secret: '********', ownerClaim: 'sub' },
      metricsToken: '********',
      ticketSecret: ['********', '********'],
    })
  })

  it.each<[what: string, provider: Record<string, unknown>]>([
    ['a key', { apiKey: 'hunter2' }],
    ['headers', { headers: { 'x-any': 'hunter2' } }],
    ['a token in options', { options: { deep: [{ accessToken: 'hunter2' }] } }],
    ['a list of keys', { options: { keys: ['hunter2', { of: 'hunter2' }] } }],
    ['a password that is a number', { options: { password: 4_815_162_342 } }],
    ['a password in a URL', { baseUrl: 'https://user:hunter2@example.org/v1' }],
    ['a password with an @ in a URL', { baseUrl: 'https://user:p@hunter2@example.org/v1' }],
    ['a user without a password in a URL', { baseUrl: 'https://hunter2@example.org/v1' }],
    ['a URL within a text', { options: { use: 'redis at redis://:hunter2@example.org' } }],
    ['a password in the URL of a proxy', { proxy: 'http://user:hunter2@proxy.example:3128' }],
    ['a key in the query of a URL', { baseUrl: 'https://example.org/v1?api-version=hunter2&key=hunter2' }],
    ['a query that is only a key', { baseUrl: 'https://example.org/v1?hunter2' }],
    ['a query with an @', { baseUrl: 'https://example.org?a=b@hunter2' }],
    ['the fragment of a URL', { baseUrl: 'https://example.org/v1#token=hunter2' }],
    ['the query of a module', { type: 'module', module: 'file:///plugin.js?key=hunter2' }],
    ['a module in a data: URL', { type: 'module', module: 'data:text/javascript,const%20key="hunter2"' }],
    ['bytes', { options: { key: Buffer.from('hunter2') } }],
    ['a string with an unknown name', { madeUp: 'hunter2', deep: { madeUp: ['hunter2'] } }],
  ])('masks %s', (_, provider) => {
    const printed = print({ x: { type: 'openai', ...provider } })
    expect(printed).not.toContain('hunter2')
    expect(printed).not.toContain('4815162342')
    expect(printed).toContain('********')
  })

  it.each('auth credential cookie pwd bearer sig url passphrase jwt dsn session model type'.split(' '))(
    'masks every string in options: %s',
    (name) => {
      expect(print({ x: { type: 'module', module: './x.js', options: { [name]: 'hunter2' } } })).not.toContain(
        'hunter2',
      )
    },
  )

  it('masks new settings unless they are listed as harmless', () => {
    const added = { ...load({}), tickets: { signedWith: 'hunter2', lifetimeMs: 3, strict: true } }
    expect(parse(printConfig(added))).toMatchObject({
      tickets: { signedWith: '********', lifetimeMs: 3, strict: true },
    })
  })

  it('shows the number of keys and their weights', () => {
    const apiKey = ['hunter2', { key: 'hunter2', weight: 3 }]
    expect(parse(print({ x: { type: 'openai', apiKey } }))).toMatchObject({
      providers: { x: { apiKey: ['********', { key: '********', weight: 3 }] } },
    })
  })

  it('masks nothing else', () => {
    const provider = { type: 'openai', baseUrl: 'https://example.org/v1/@me', models: ['a@b'], options: { depth: 3 } }
    expect(parse(print({ x: provider }))).toMatchObject({ providers: { x: provider }, firstTokenTimeoutMs: 300_000 })
  })
})
