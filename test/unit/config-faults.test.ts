import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { load } from './config-file.ts'

type Environment = Record<string, string>

/** What the operator reads. */
function told(environment: Environment, ...lines: string[]): string {
  try {
    load(environment, ...lines)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

describe('a wrong setting', () => {
  it.each<[Environment, message: string]>([
    [{ PORT: 'abc' }, 'PORT: expected a whole number from 0 to 65535 (given: "abc")'],
    [{ PORT: '70000' }, 'PORT: expected a whole number from 0 to 65535 (given: "70000")'],
    [{ PLAYGROUND: 'maybe' }, 'PLAYGROUND: expected true or false (given: "maybe")'],
    [{ WORKERS: 'many' }, 'WORKERS: expected auto or a whole number from 1 to 256 (given: "many")'],
    [{ BODY_LIMIT: '10 elephants' }, 'BODY_LIMIT: expected a size such as 10mb (given: "10 elephants")'],
    [{ STORE_DOWN: 'refused' }, 'STORE_DOWN: expected refuse or local (given: "refused"); did you mean "refuse"?'],
  ])('of the environment is told with the rule and the given value: %j', (environment, message) => {
    expect(told(environment)).toBe(message)
  })

  it.each<[line: string, message: string]>([
    ['retentionMs:', 'retentionMs: expected a whole number from 0 to 2147483647 (given: nothing)'],
    ['port: [80]', 'port: expected a whole number from 0 to 65535 (given: a list)'],
    ['models: { "*-gpt": mock/mock }', 'models.*-gpt: may hold a "*" at its end only'],
    ['keys: [{ key: k }]', 'keys[0].name: is missing'],
    ['prices: { a: { input: -1, output: 1 } }', 'prices.a.input: expected at least 0 (given: -1)'],
    [
      'keys: [{ name: a, key: k, scopes: [chatt] }]',
      'keys[0].scopes[0]: expected chat, read, cancel, metrics or admin (given: "chatt"); did you mean "chat"?',
    ],
    [
      'providers: { a: { type: openai, baseUrl: localhost } }',
      'providers.a.baseUrl: expected a URL that begins with http:// or https:// (given: ********)',
    ],
  ])('of the file is told with the rule and the given value: %s', (line, message) => {
    expect(told({}, line)).toBe(message)
  })

  it('that is a secret is told without its value', () => {
    expect(told({ REDIS_URL: 'hunter2' })).toMatch(/^REDIS_URL: expected redis:.*\(given: \*+\)$/)
    expect(told({}, 'providers: { a: { type: openai, apiKey: 7 } }')).toMatch(/apiKey: .*\(given: \*+\)$/)
  })

  it.each(['sk-1', 'Bearer abc', 'gsk_abc', 'eyJhbGciOi', 'a'.repeat(40)])(
    'is told without its value when it looks like a key in the wrong place: %s',
    (value) => {
      expect(told({ PORT: value })).toMatch(/^PORT: expected .* \(given: \*+\)$/)
    },
  )

  it('is told with the beginning of a long value', () => {
    expect(told({ PORT: 'no port '.repeat(50) }).length).toBeLessThan(150)
  })
})

describe('a name that nobody knows', () => {
  it.each<[line: string, message: string]>([
    ['provders: {}', 'provders: there is no such setting; did you mean "providers"?'],
    ['PORT: 80', 'PORT: there is no such setting; did you mean "port"?'],
    ['colour: red', 'colour: there is no such setting'],
    [
      'limits: { requestsPerMinutes: 1 }',
      'limits.requestsPerMinutes: there is no such setting; did you mean "requestsPerMinute"?',
    ],
    [
      'providers: { a: { type: openia } }',
      'providers.a.type: needs a type (mock, openai, anthropic) or a module (given: "openia"); did you mean "openai"?',
    ],
    [
      'providers: { a: { type: openai, apiKye: k } }',
      'providers.a.apiKye: there is no such setting; did you mean "apiKey"?',
    ],
    ['providers: { a: { type: openai, apiKey:k } }', 'providers.a.apiKey…: needs a space after the colon'],
    ['models: { m: mok/mock }', 'models.m: there is no provider "mok"; did you mean "mock"?'],
    ['models: { m: groq/llama }', 'models.m: there is no provider "groq"; there are mock'],
  ])('is told with the name that may be meant: %s', (line, message) => {
    expect(told({}, line)).toBe(message)
  })
})

describe('${VARIABLE} in the file', () => {
  const keyOf = (environment: Environment, text: string) => {
    const { a } = load(environment, `providers: { a: { type: openai, apiKey: "${text}" } }`).providers
    return a?.type === 'openai' ? a.apiKey : undefined
  }

  it('takes the default after ":-" when the variable is not set, or empty', () => {
    expect(keyOf({}, '${KEY:-none}')).toBe('none')
    expect(keyOf({ KEY: '' }, '${KEY:-none}')).toBe('none')
    expect(keyOf({ KEY: 'k-1' }, '${KEY:-none}')).toBe('k-1')
    expect(keyOf({}, '${KEY:-http://a:1/b?c=}')).toBe('http://a:1/b?c=')
    expect(load({}, 'defaultModel: "a${TAG:-}"').defaultModel).toBe('a')
  })

  it('that is set but empty is not set', () => {
    expect(told({ KEY: '' }, 'defaultModel: "${KEY}"')).toBe('defaultModel: the environment has no KEY, or it is empty')
  })

  it.each(['${KEY-none}', '${KEY:?no}', '${}', '${KEY', '${ KEY }'])('has no other form: %s', (text) => {
    expect(told({ KEY: 'k' }, `defaultModel: '${text}'`)).toBe('defaultModel: expected ${NAME} or ${NAME:-default}')
  })

  it('without quotes within braces is told to need them', () => {
    const message = told({ KEY: 'k' }, 'providers: { a: { type: openai, apiKey: ${KEY} } }')
    expect(message).toContain('line 1, column 42: unexpected token; within { } or [ ], quote it: "${NAME}"')
    expect(told({}, 'port: [')).not.toContain('quote')
  })
})
