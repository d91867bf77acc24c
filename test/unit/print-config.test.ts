import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { printConfig, type Config } from '../../src/config.ts'
import { load } from './config-file.ts'

function print(providers: Record<string, unknown>): string {
  return printConfig({ ...load({}), providers: providers as Config['providers'] })
}

describe('printConfig', () => {
  it('prints every setting in force, as YAML that says the same', () => {
    const config = load({ PORT: '81', STREAM_MAX_BYTES: '1mb' })
    expect(parse(printConfig(config))).toEqual(config)
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
  ])('masks %s', (_, provider) => {
    const printed = print({ x: { type: 'openai', ...provider } })
    expect(printed).not.toContain('hunter2')
    expect(printed).not.toContain('4815162342')
    expect(printed).toContain('********')
  })

  it('masks nothing else', () => {
    const provider = { type: 'openai', baseUrl: 'https://example.org/v1/@me', models: ['a@b'], options: { depth: 3 } }
    expect(parse(print({ x: provider }))).toMatchObject({ providers: { x: provider }, firstTokenTimeoutMs: 300_000 })
  })
})
