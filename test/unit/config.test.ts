import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig, type Environment } from '../../src/config.ts'
import { ConfigError } from '../../src/errors.ts'
import { load } from './config-file.ts'

function faultsOf(environment: Environment, ...lines: string[]) {
  try {
    load(environment, ...lines)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

function pathsOf(environment: Environment, ...lines: string[]): string[] {
  return faultsOf(environment, ...lines).map(({ path }) => path)
}

describe('settings', () => {
  it('take PUBLIC_URL without the slash at its end, as a header can hold it', () => {
    expect(load({}).publicUrl).toBe('')
    expect(load({ PUBLIC_URL: 'https://chat.example' }).publicUrl).toBe('https://chat.example')
    expect(load({ PUBLIC_URL: 'https://chat.example/llm//' }).publicUrl).toBe('https://chat.example/llm')
    expect(load({ PUBLIC_URL: 'https://köln.example/ä' }).publicUrl).toBe('https://xn--kln-sna.example/%C3%A4')
  })

  it('have defaults, with which everything works', () => {
    expect(load({})).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      logLevel: 'info',
      heartbeatMs: 8_000,
      resumeWindowMs: 30_000,
      sdkStatusWaitMs: 8_000,
      retentionMs: 300_000,
      slowReaderMs: 30_000,
      drainMs: 30_000,
      bodyLimit: 10 * 1024 * 1024,
      uploadLimit: 32 * 1024 * 1024,
      providers: { mock: { type: 'mock' } },
    })
  })

  it('come from the environment over the file over the defaults', () => {
    const config = load({ PORT: '1', LOG_LEVEL: 'debug' }, 'port: 2', 'heartbeatMs: 50')
    expect(config).toMatchObject({ port: 1, logLevel: 'debug', heartbeatMs: 50, drainMs: 30_000 })
  })

  it('that are empty in the environment are not set', () => {
    expect(load({ PORT: '' }, 'port: 2').port).toBe(2)
  })

  it('are fixed from then on', () => {
    expect(Object.isFrozen(load({}))).toBe(true)
  })

  it.each([
    ['512', 512],
    ['512b', 512],
    ['1kb', 1024],
    ['10mb', 10 * 1024 ** 2],
    ['512 KiB', 512 * 1024],
    ['1.5GB', 1.5 * 1024 ** 3],
    ['0.1kb', 102],
  ])('that are sizes may have a unit: %s', (size, bytes) => {
    expect(load({ STREAM_MAX_BYTES: size }).streamMaxBytes).toBe(bytes)
    expect(load({}, `streamMaxBytes: ${size}`).streamMaxBytes).toBe(bytes)
  })

  it.each([
    ['', []],
    ['*', ['*']],
    ['https://chat.example', ['https://chat.example']],
    [
      ' https://Chat.Example/ , http://localhost:5173,https://a.example:443 ,',
      ['https://chat.example', 'http://localhost:5173', 'https://a.example'],
    ],
    ['chrome-extension://abcdef', ['chrome-extension://abcdef']],
  ])('that are origins are as browsers write them: %j', (text, expected) => {
    expect(load({ CORS_ORIGIN: text }).corsOrigin).toStrictEqual(expected)
    expect(load({}, `corsOrigin: ${JSON.stringify(text)}`).corsOrigin).toStrictEqual(expected)
  })

  it('in an empty file are the defaults', () => {
    expect(load({}, '# nothing yet')).toEqual(load({}))
  })
})

describe('a fault', () => {
  it.each<[variable: string, value: string]>([
    ['PORT', 'http'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', ' '],
    ['LOG_LEVEL', 'loud'],
    ['HEARTBEAT_MS', '0'],
    ['SDK_STATUS_WAIT_MS', '-1'],
    ['RETENTION_MS', '1.5'],
    ['RESUME_WINDOW_MS', '99999999999'],
    ['BODY_LIMIT', '10 elephants'],
    ['BODY_LIMIT', '-1'],
    ['CORS_ORIGIN', 'chat.example'],
    ['CORS_ORIGIN', 'https://chat.example/page'],
    ['CORS_ORIGIN', 'https://chat.example, https://*.example'],
    ['CORS_ORIGIN', 'null'],
    ['STORE_MAX_BYTES', 'mb'],
  ])('in the environment is named as it is there: %s=%j', (variable, value) => {
    expect(pathsOf({ [variable]: value })).toEqual([variable])
  })

  it.each([
    'chat.example',
    'ftp://chat.example',
    'https://a:b@chat.example',
    'https://chat.example/?x=1',
    'https://a b',
  ])('is a PUBLIC_URL below which no path can be put: %s', (value) => {
    expect(pathsOf({ PUBLIC_URL: value })).toEqual(['PUBLIC_URL'])
  })

  it('is CORS_CREDENTIALS without origins, or for any origin, which browsers do not allow', () => {
    expect(pathsOf({ CORS_ORIGIN: '*', CORS_CREDENTIALS: 'true' })).toEqual(['CORS_CREDENTIALS'])
    expect(pathsOf({}, 'corsOrigin: "*"', 'corsCredentials: true')).toEqual(['corsCredentials'])
    expect(pathsOf({ CORS_CREDENTIALS: 'true' })).toEqual(['CORS_CREDENTIALS'])
  })

  it.each<[path: string, ...lines: string[]]>([
    ['port', 'port: http'],
    ['port', 'port: true'],
    ['port', 'port: [80]'],
    ['retentionMs', 'retentionMs:'],
    ['bodyLimit', 'bodyLimit: {}'],
    ['providers', 'providers: openai'],
    ['providers.openai.baseUrl', 'providers:', '  openai: { type: openai, baseUrl: "ftp://x" }'],
    ['providers.openai.apiKey', 'providers:', '  openai: { type: openai, apiKey: 7 }'],
    ['providers.mine.models[1]', 'providers:', '  mine: { type: mock, models: [a, ""] }'],
    ['providers.a b', 'providers:', '  a b: { type: mock }'],
  ])('in the file is named by its path: %s', (path, ...lines) => {
    const faults = faultsOf({}, ...lines)
    expect(faults.map((fault) => fault.path)).toEqual([path])
    expect(faults[0]!.message).not.toBe('')
  })

  it('is named wherever it is, and with all others', () => {
    const lines = ['port: http', 'providers: { x: { type: mock, models: [] } }']
    expect(pathsOf({ LOG_LEVEL: 'loud' }, ...lines).toSorted()).toEqual(['LOG_LEVEL', 'port', 'providers.x.models'])
  })

  it.each<[path: string, ...lines: string[]]>([
    ['heartbeat', 'heartbeat: 15'],
    ['PORT', 'PORT: 80'],
    ['providers.mine.model', 'providers:', '  mine: { type: mock, model: a }'],
  ])('is a setting that does not exist: %s', (path, ...lines) => {
    expect(pathsOf({}, ...lines)).toEqual([path])
  })

  it('is a provider of no known type', () => {
    expect(pathsOf({}, 'providers:', '  mine: { type: magic }')).toEqual(['providers.mine.type'])
    expect(pathsOf({}, 'providers:', '  mine: {}')).toEqual(['providers.mine.type'])
    expect(pathsOf({}, 'providers:', '  mine: magic')).toEqual(['providers.mine'])
  })

  it('is a file that is not there, is no YAML, or has no settings', () => {
    const missing = join(tmpdir(), 'sluice-no-such-file.yaml')
    expect(() => loadConfig({ file: missing })).toThrow(
      expect.objectContaining({ faults: [{ path: missing, message: expect.any(String) }] }),
    )
    for (const line of ['port: [', '- port', 'port'])
      expect(pathsOf({}, line)).toEqual([expect.stringContaining('sluice.yaml')])
  })

  it('does not quote a value that looks like a secret', () => {
    expect(JSON.stringify(faultsOf({ PORT: 'sk-1' }))).not.toContain('sk-1')
  })

  it.each([
    ['in a line that is not YAML', 'providers:', '  a: { type: openai, apiKey: sk-1', '  b: ['],
    ['in the line before one that is not YAML', 'apiKey: sk-1', '\tport: 80'],
    ['as an alias', 'defaultModel: *sk-1'],
    ['as a wrong tag', 'port: !!timestamp sk-1'],
    ['twice', 'port: 1', 'port: sk-1'],
    ['behind a colon without a space', 'providers: { a: { type: openai, apiKey:sk-1 } }'],
    ['as a type', 'providers: { a: { type: sk-1 } }'],
    ['as one of several strings', 'logLevel: sk-1', 'playground: sk-1', 'port: sk-1', 'streamMaxBytes: sk-1'],
    ['in a URL', 'corsOrigin: "https://user:sk-1@chat.example"', 'providers: { a: { type: openai, baseUrl: "sk-1" } }'],
    ['in a list', 'providers: { a: { type: openai, apiKey: [sk-1, { key: "sk-1\\n", weight: 1 }] } }'],
    ['in a string with an undefined variable', 'defaultModel: "sk-1 ${NO_SUCH_NAME}"'],
  ])('does not quote a secret: %s', (_, ...lines) => {
    const faults = faultsOf({}, ...lines)
    expect(faults.length).toBeGreaterThan(0)
    expect(JSON.stringify(faults)).not.toContain('sk-1')
  })

  it('says where a file is not YAML, and why', () => {
    expect(faultsOf({}, 'port: 80', 'defaultModel: "a\\q"')).toEqual([
      { path: expect.stringContaining('sluice.yaml'), message: 'line 2, column 17: bad dq escape' },
    ])
  })
})

describe('${VARIABLE} in the file', () => {
  it('is filled in from the environment, wherever it stands', () => {
    const config = load(
      { KEY: 'k-1', HOST_NAME: 'llm.example', NUMBER: '81' },
      'port: ${NUMBER}',
      'providers:',
      '  x: { type: openai, apiKey: "${KEY}", baseUrl: "https://${HOST_NAME}/v1", models: ["a-${NUMBER}"] }',
    )
    expect(config.port).toBe(81)
    expect(config.providers.x).toMatchObject({ apiKey: 'k-1', baseUrl: 'https://llm.example/v1', models: ['a-81'] })
  })

  it('that the environment lacks is a fault, with its path', () => {
    const lines = ['providers:', '  x: { type: openai, headers: { a: "${NO_KEY}" }, models: ["${NO_MODEL}"] }']
    expect(faultsOf({}, ...lines)).toEqual([
      { path: 'providers.x.headers.a', message: expect.stringContaining('NO_KEY') },
      { path: 'providers.x.models[0]', message: expect.stringContaining('NO_MODEL') },
    ])
  })

  it('is not looked for in what was filled in', () => {
    const config = load({ KEY: '${OTHER}' }, 'providers: { x: { type: openai, apiKey: "${KEY}" } }')
    expect(config.providers.x).toMatchObject({ apiKey: '${OTHER}' })
  })
})

describe('providers', () => {
  it('are added by their variables', () => {
    const config = load({ OPENAI_API_KEY: 'k-1', OPENAI_BASE_URL: 'http://localhost:11434/v1' })
    expect(config.providers).toMatchObject({
      openai: { type: 'openai', apiKey: 'k-1', baseUrl: 'http://localhost:11434/v1' },
    })
    expect(load({ OPENAI_BASE_URL: 'http://localhost:11434/v1' }).providers).toHaveProperty('openai')
    expect(load({ OPENAI_API_KEY: '' }).providers).not.toHaveProperty('openai')
  })

  it('turn the mock off, unless it is requested', () => {
    const real = { OPENAI_API_KEY: 'k-1' }
    expect(load(real)).not.toHaveProperty('providers.mock')
    expect(load(real).defaultModel).toBeUndefined()
    expect(load({ ...real, MOCK: 'true' })).toMatchObject({
      providers: { mock: { type: 'mock' } },
      defaultModel: 'mock',
    })
    expect(load(real, 'mock: true')).toHaveProperty('providers.mock')
    expect(load(real, 'providers: { mock: { type: mock } }')).toHaveProperty('providers.mock')
    expect(load({}, 'providers: { mine: { module: ./mine.js } }')).not.toHaveProperty('providers.mock')
    expect(load({ MOCK: 'false' }).providers).toEqual({})
  })

  it('take from their variables what their entry leaves open, and nothing else', () => {
    const environment = { OPENAI_API_KEY: 'k-1', OPENAI_BASE_URL: 'http://one/v1' }
    const config = load(environment, 'providers: { openai: { type: openai, baseUrl: "http://two/v1" } }')
    expect(config.providers.openai).toMatchObject({ apiKey: 'k-1', baseUrl: 'http://two/v1' })
  })

  it('of another type or name take nothing from them', () => {
    const config = load({ OPENAI_API_KEY: 'k-1' }, 'providers: { openai: { type: mock }, other: { type: openai } }')
    expect(config.providers.openai).toEqual({ type: 'mock' })
    expect(config.providers.other).not.toHaveProperty('apiKey')
  })

  it('may be modules with options of their own', () => {
    const config = load({}, 'providers: { mine: { module: ./mine.mjs, options: { depth: { of: any } } } }')
    expect(config.providers.mine).toEqual({ type: 'module', module: './mine.mjs', options: { depth: { of: 'any' } } })
  })
})
