import { describe, expect, it } from 'vitest'
import { loadProvider } from '../../providers/registry.ts'
import { loadConfig } from '../../src/config.ts'
import { SluiceError } from '../../src/errors.ts'
import { Router, type RouterConfig } from '../../src/routing/router.ts'
import { ADD_VENDOR } from '../../src/routing/vendor-names.ts'
import { PROVIDER_VARIABLES } from '../../src/settings.ts'
import type { Wire } from '../../src/wires/wire.ts'

const request = { messages: [{ role: 'user' as const, content: 'hi' }] }

/** Base URLs of providers: of the vendor of their type, of another one, and of nobody in particular. */
const OPENAI = { type: 'openai', baseUrl: 'https://api.openai.com/v1', headers: {}, includeUsage: true } as const
const ANTHROPIC = { type: 'anthropic', baseUrl: 'https://api.anthropic.com', headers: {}, maxTokens: 1 } as const
const GROQ = { ...OPENAI, baseUrl: 'https://api.groq.com/openai/v1' }
const GEMINI = { ...OPENAI, baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai' }
const LOCAL = { ...OPENAI, baseUrl: 'http://localhost:11434/v1' }
const LOCAL_MESSAGES = { ...ANTHROPIC, baseUrl: 'http://localhost:4000' }

async function routerOf(
  providers: Record<string, Parameters<typeof loadProvider>[1]>,
  settings: Partial<RouterConfig> = {},
): Promise<Router> {
  const loaded = Object.entries(providers).map(async ([name, each]) => [name, await loadProvider(name, each)] as const)
  return new Router(new Map(await Promise.all(loaded)), { ...loadConfig(), ...settings })
}

function messageOf(router: Router, model: string, wire?: Wire): string {
  try {
    router.plan(model, request, wire)
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'unknown_model') return error.message
    throw error
  }
  throw new Error('It was found')
}

const targetOf = (router: Router, model: string, wire?: Wire) => router.plan(model, request, wire).targets[0].name

describe('of several providers that take any model', () => {
  const all = { groq: GROQ, anthropic: ANTHROPIC, local: LOCAL, gemini: GEMINI, openai: OPENAI }

  it.each([
    ['gpt-5', 'openai'],
    ['o3-mini', 'openai'],
    ['o4-mini-2025-04-16', 'openai'],
    ['o1', 'openai'],
    ['chatgpt-4o-latest', 'openai'],
    ['ft:gpt-4o-mini:me::1', 'openai'],
    ['GPT-5', 'openai'],
    ['text-embedding-3-small', 'openai'],
    ['claude-sonnet-4-5', 'anthropic'],
    ['gemini-2.5-pro', 'gemini'],
  ])('%s goes to its vendor, %s, whatever the protocol', async (model, name) => {
    for (const wire of [undefined, 'openai', 'anthropic'] as const)
      expect(targetOf(await routerOf(all), model, wire)).toBe(`${name}/${model}`)
  })

  it.each(['gpt-oss:20b', 'whisper-large-v3', 'o365', 'claude', 'llama3'])(
    '%s is no vendor’s: the protocol decides',
    async (model) => {
      const router = await routerOf({ openai: OPENAI, anthropic: ANTHROPIC })
      expect(targetOf(router, model, 'openai')).toBe(`openai/${model}`)
      expect(targetOf(router, model, 'anthropic')).toBe(`anthropic/${model}`)
      expect(messageOf(router, model)).toMatch(/^model: no provider offers/)
    },
  )

  it('none gets the request where several speak its protocol', async () => {
    const router = await routerOf(all)
    expect(messageOf(router, 'llama3', 'openai')).toBe('model: no provider offers "llama3"')
    expect(targetOf(router, 'llama3', 'anthropic')).toBe('anthropic/llama3')
  })

  it('a vendor’s own address wins over one that is nobody’s, and that over the protocol', async () => {
    expect(targetOf(await routerOf({ local: LOCAL, openai: OPENAI }), 'gpt-5')).toBe('openai/gpt-5')
    const gateways = { local: LOCAL, messages: LOCAL_MESSAGES }
    expect(targetOf(await routerOf(gateways), 'claude-x', 'openai')).toBe('messages/claude-x')
    expect(targetOf(await routerOf(gateways), 'gpt-5', 'anthropic')).toBe('local/gpt-5')
    expect(targetOf(await routerOf({ local: LOCAL, openai: LOCAL }), 'gpt-5')).toBe('openai/gpt-5')
  })

  it('the first of a vendor’s several providers gets its models', async () => {
    expect(targetOf(await routerOf({ groq: GROQ, a: OPENAI, b: OPENAI }), 'gpt-5')).toBe('a/gpt-5')
  })

  it('the configuration and explicit names go first', async () => {
    const router = await routerOf(all, { models: { 'claude-*': 'groq/*' } })
    expect(targetOf(router, 'claude-x', 'anthropic')).toBe('groq/x')
    expect(targetOf(router, 'groq/gpt-5')).toBe('groq/gpt-5')
  })
})

describe('a vendor without a provider', () => {
  it('is not asked of another vendor: the error says how to add it', async () => {
    expect(messageOf(await routerOf({ openai: OPENAI }), 'claude-x', 'anthropic')).toBe(
      'model: no provider offers "claude-x"; set ANTHROPIC_API_KEY',
    )
    expect(messageOf(await routerOf({ groq: GROQ }), 'gpt-5', 'openai')).toContain('; set OPENAI_API_KEY')
    expect(messageOf(await routerOf({ openai: OPENAI }), 'gemini-x', 'openai')).toContain('generativelanguage')
    expect(ADD_VENDOR.openai).toContain(PROVIDER_VARIABLES.openai.apiKey)
    expect(ADD_VENDOR.anthropic).toContain(PROVIDER_VARIABLES.anthropic.apiKey)
  })

  it('is asked of the only provider that may offer anyone’s models', async () => {
    expect(targetOf(await routerOf({ local: LOCAL }), 'claude-x', 'anthropic')).toBe('local/claude-x')
    expect(targetOf(await routerOf({ openai: OPENAI, local: LOCAL }), 'claude-x')).toBe('local/claude-x')
  })

  it('is not asked for where only configured names are accepted', async () => {
    const router = await routerOf({ openai: OPENAI }, { modelsOnly: true, models: { fast: 'openai/gpt-5' } })
    expect(messageOf(router, 'claude-x')).toBe('model: no provider offers "claude-x"')
    expect(messageOf(router, 'fats')).toBe('model: no provider offers "fats"')
    expect(messageOf(router, 'fasst')).toBe('model: no provider offers "fasst"; did you mean "fast"?')
  })
})

it('the catch-all is known for each wire', async () => {
  const both = await routerOf({ openai: OPENAI, anthropic: ANTHROPIC })
  expect([undefined, 'openai', 'anthropic'].map((wire) => both.catchAll(wire as Wire))).toEqual([
    undefined,
    'openai',
    'anthropic',
  ])
  expect((await routerOf({ groq: GROQ })).catchAll('anthropic')).toBe('groq')
  expect((await routerOf({ groq: GROQ }, { modelsOnly: true })).catchAll('openai')).toBeUndefined()
})
