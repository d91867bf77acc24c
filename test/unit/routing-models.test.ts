import { describe, expect, it } from 'vitest'
import type { Provider } from '../../providers/provider.ts'
import { loadConfig } from '../../src/config.ts'
import { ConfigError, invalidField, SluiceError } from '../../src/errors.ts'
import { Router, type RouterConfig } from '../../src/routing/router.ts'
import { load } from './config-file.ts'

const request = { messages: [{ role: 'user' as const, content: 'hi' }] }

function provider(name: string, models?: string[], check?: Provider['check']): Provider {
  return { name, models, ...(check && { check }), async *stream() {} }
}

function routerOf(settings: Partial<RouterConfig> = {}, ...more: Provider[]): Router {
  const providers = [provider('mock', ['mock']), provider('a'), provider('b'), provider('c', ['c-1', 'c-2']), ...more]
  return new Router(
    new Map(providers.map((each) => [each.name, { provider: each, options: { of: each.name } }])),
    { ...loadConfig(), ...settings },
    { random: () => 0.5 },
  )
}

function targetsOf(router: Router, model?: string): string[] {
  return router.plan(model, request).targets.map(({ name }) => name)
}

function refusal(action: () => unknown): SluiceError {
  try {
    action()
  } catch (error) {
    if (error instanceof SluiceError) return error
    throw error
  }
  throw new Error('It was not refused')
}

describe('a name without `models`', () => {
  it.each([
    ['of a model that a provider lists is that model', 'c-2', 'c/c-2'],
    ['that begins with a provider is the rest, of that provider', 'b/some/model', 'b/some/model'],
    ['of a provider that takes any model leads to it', 'b', 'b/b'],
  ])('%s', (_, name, target) => {
    expect(targetsOf(routerOf(), name)).toEqual([target])
  })

  it('that nobody lists is left to the only provider that takes any, slashes and all', () => {
    const providers = new Map([['a', { provider: provider('a'), options: {} }]])
    const router = new Router(providers, loadConfig())
    expect(targetsOf(router, 'whatever')).toEqual(['a/whatever'])
    expect(targetsOf(router, '/x')).toEqual(['a//x'])
  })

  it('that begins with a provider which does not list the rest is unknown: nothing is sent to another', () => {
    expect(() => targetsOf(routerOf(), 'c/c-9')).toThrow(expect.objectContaining({ code: 'unknown_model' }))
  })

  it('that is absent is the default model', () => {
    expect(routerOf({ defaultModel: 'c-1' }).plan(undefined, request)).toMatchObject({
      model: 'c-1',
      targets: [{ name: 'c/c-1' }],
    })
  })

  it('that nobody takes is unknown, and the error names the field', () => {
    const router = new Router(new Map([['c', { provider: provider('c', ['c-1']), options: {} }]]), loadConfig())
    expect(refusal(() => router.plan('x', request))).toMatchObject({
      code: 'unknown_model',
      faults: [{ path: 'model' }],
    })
  })
})

describe('a name in `models`', () => {
  it('may be an alias', () => {
    const plan = routerOf({ models: { fast: 'b/small' } }).plan('fast', request)
    expect(plan).toMatchObject({ model: 'fast', targets: [{ name: 'b/small', model: 'small', options: { of: 'b' } }] })
  })

  it('leads to targets in the order in which they stand', () => {
    expect(targetsOf(routerOf({ models: { fast: ['b/x', 'a/y/z', 'c/c-9'] } }), 'fast')).toEqual([
      'b/x',
      'a/y/z',
      'c/c-9',
    ])
  })

  it('leads to those with a weight first, in an order drawn by weight, and then to the others', () => {
    const models = {
      fast: ['b/last', { target: 'a/light', weight: 1 }, 'c/very-last', { target: 'a/heavy', weight: 9 }],
    }
    expect(targetsOf(routerOf({ models }), 'fast')).toEqual(['a/heavy', 'a/light', 'b/last', 'c/very-last'])
  })

  it('wins over what providers list', () => {
    expect(targetsOf(routerOf({ models: { 'c-1': 'a/x' } }), 'c-1')).toEqual(['a/x'])
  })

  it('brings the limits of its targets, and the defaults for what they leave open', () => {
    const limits = { connectTimeoutMs: 1, firstTokenTimeoutMs: 2, idleTimeoutMs: 3, totalTimeoutMs: 4 }
    const models = { fast: [{ target: 'a/x', retries: 0, ...limits }, 'b/y'] }
    expect(routerOf({ models, firstTokenTimeoutMs: 5, idleTimeoutMs: 6 }).plan('fast', request).targets).toMatchObject([
      { retries: 0, timeouts: limits },
      {
        retries: 2,
        timeouts: { connectTimeoutMs: 10_000, firstTokenTimeoutMs: 5, idleTimeoutMs: 6, totalTimeoutMs: undefined },
      },
    ])
  })

  it('leads to the same breaker each time', () => {
    const router = routerOf({ models: { fast: 'b/x' } })
    const [first, second] = ['fast', 'b/x'].map((name) => router.plan(name, request).targets[0].breaker)
    expect(first).toBe(second)
  })
})

describe('a wildcard', () => {
  const models = {
    'claude-*': 'b/*',
    'claude-3-*': ['a/old/*', 'b/claude-3-latest'],
    'claude-3-5': 'b/exact',
    '*': 'a/any/*',
  }

  it.each([
    ['is replaced in its target by what it matched', 'claude-opus', ['b/opus']],
    ['that says more wins', 'claude-3-7', ['a/old/7', 'b/claude-3-latest']],
    ['gives way to an exact name', 'claude-3-5', ['b/exact']],
    ['needs something to match', 'claude-', ['a/any/claude-']],
    ['alone matches everything', 'gpt', ['a/any/gpt']],
    ['takes what it matches as it is', 'claude-$&*', ['b/$&*']],
  ])('%s', (_, name, targets) => {
    expect(targetsOf(routerOf({ models }), name)).toEqual(targets)
  })

  it('leaves out targets whose provider does not list what it matched', () => {
    const router = routerOf({ models: { 'x-*': ['c/*', 'b/*'] } })
    expect(targetsOf(router, 'x-c-1')).toEqual(['c/c-1', 'b/c-1'])
    expect(targetsOf(router, 'x-other')).toEqual(['b/other'])
  })
})

describe('with `modelsOnly`', () => {
  const router = routerOf({ models: { fast: 'b/x' }, modelsOnly: true })

  it('only what `models` names is known', () => {
    expect(targetsOf(router, 'fast')).toEqual(['b/x'])
    for (const name of ['c-1', 'b/x', 'whatever'])
      expect(refusal(() => router.plan(name, request)).code).toBe('unknown_model')
  })

  it('only what `models` names is listed', () => {
    expect(router.models()).toEqual([{ id: 'fast', provider: 'b' }])
  })
})

describe('targets that refuse a request', () => {
  const refuses = (name: string) =>
    provider(name, undefined, () => {
      throw invalidField('invalid_request', 'tools', `${name} has none`)
    })

  it('are left out when another accepts it', () => {
    const router = routerOf({ models: { fast: ['no/x', 'a/y'] } }, refuses('no'))
    expect(targetsOf(router, 'fast')).toEqual(['a/y'])
  })

  it('refuse it together, in the words of the first', () => {
    const router = routerOf({ models: { fast: ['no/x', 'nor/y'] } }, refuses('no'), refuses('nor'))
    expect(refusal(() => router.plan('fast', request))).toMatchObject({
      code: 'invalid_request',
      message: 'tools: no has none',
    })
  })

  it('may name what they leave out: the plan has the names of the first that accepts', () => {
    const leaves = (name: string, ...ignored: string[]) => provider(name, undefined, () => ({ ignored }))
    const more = [refuses('no'), leaves('one', 'seed', 'a b', 'store'), leaves('two', 'top_k'), leaves('none')]
    const router = routerOf({ models: { fast: ['no/x', 'one/x', 'two/x'] } }, ...more)
    expect(router.plan('fast', request).ignored).toEqual(['seed', 'store'])
    expect(router.plan('none/x', request)).not.toHaveProperty('ignored')
  })

  it('are asked with the name that they know', () => {
    const asked: string[] = []
    const asks = provider('asks', undefined, ({ model }) => void asked.push(model))
    routerOf({ models: { fast: 'asks/x' } }, asks).plan('fast', request)
    expect(asked).toEqual(['x'])
  })
})

describe('the list of models', () => {
  it('has the names of the configuration, then those of the providers, without wildcards', () => {
    const models = { fast: ['b/x', 'a/y'], 'claude-*': 'b/*' }
    expect(routerOf({ models }).models()).toEqual([
      { id: 'fast', provider: 'b' },
      { id: 'mock', provider: 'mock' },
      { id: 'c-1', provider: 'c' },
      { id: 'c-2', provider: 'c' },
    ])
  })

  it('has each model once, by the name under which it is found', () => {
    const models = { 'c-1': 'a/other', 'c-2': 'c/c-2' }
    expect(routerOf({ models }, provider('d', ['c-2', 'd-1'])).models()).toEqual([
      { id: 'c-1', provider: 'a' },
      { id: 'c-2', provider: 'c' },
      { id: 'mock', provider: 'mock' },
      { id: 'c/c-1', provider: 'c' },
      { id: 'd/c-2', provider: 'd' },
      { id: 'd-1', provider: 'd' },
    ])
  })

  it('has nothing that cannot be asked for', () => {
    const router = routerOf({ models: { 'c-*': 'b/*', 'c/*': 'b/*' } })
    expect(router.models()).toEqual([{ id: 'mock', provider: 'mock' }])
  })

  it('has only what can be asked for', () => {
    const router = routerOf({ models: { fast: 'b/x', 'c-1': 'a/other' } }, provider('d', ['c-2', 'd-1']))
    for (const { id, provider: name } of router.models()) expect(targetsOf(router, id)[0]).toMatch(`${name}/`)
  })
})

describe('the configuration', () => {
  function faultsOf(...lines: string[]): string[] {
    try {
      load({}, ...lines)
    } catch (error) {
      if (error instanceof ConfigError) return error.faults.map(({ path }) => path)
      throw error
    }
    return []
  }

  it('has no models, and a breaker, by default', () => {
    expect(load({})).toMatchObject({ models: {}, modelsOnly: false, breaker: { failures: 5, cooldownMs: 30_000 } })
  })

  it('may say everything', () => {
    const config = load(
      { MS: '70' },
      'models:',
      '  alias: mock/mock',
      '  fast: [mock/a, { target: mock/b/c, weight: 0.5, retries: 0, totalTimeoutMs: "${MS}" }]',
      '  "any-*": mock/*',
      'modelsOnly: true',
      'breaker: { failures: 2 }',
    )
    expect(config).toMatchObject({
      models: {
        alias: 'mock/mock',
        fast: ['mock/a', { target: 'mock/b/c', weight: 0.5, retries: 0, totalTimeoutMs: 70 }],
        'any-*': 'mock/*',
      },
      modelsOnly: true,
      breaker: { failures: 2, cooldownMs: 30_000 },
    })
  })

  it.each([
    ['models.fast', 'models: { fast: nobody/x }'],
    ['models.fast[1]', 'models: { fast: [mock/a, nobody/x] }'],
    ['models.fast[0]', 'models: { fast: [{ target: nobody/x }] }'],
    ['models.fast', 'models: { fast: mock }'],
    ['models.fast', 'models: { fast: 7 }'],
    ['models.fast', 'models: { fast: [] }'],
    ['models.fast[1]', 'models: { fast: [mock/a, mock] }'],
    ['models.fast[1].weight', 'models: { fast: [mock/a, { target: mock/b, weight: 0 }] }'],
    ['models.fast[0].retry', 'models: { fast: [{ target: mock/b, retry: 1 }] }'],
    ['models.fast.idleTimeoutMs', 'models: { fast: { target: mock/b, idleTimeoutMs: 0 } }'],
    ['models.fast', 'models: { fast: mock/* }'],
    ['models.f*t', 'models: { "f*t": mock/a }'],
    ['breaker.failures', 'breaker: { failures: 0 }'],
    ['modelsOnly', 'modelsOnly: perhaps'],
    ['providers.x.apiKey[1].weight', 'providers: { x: { type: openai, apiKey: [a, { key: b, weight: 0 }] } }'],
    ['providers.x.apiKey', 'providers: { x: { type: openai, apiKey: [] } }'],
  ])('has a fault at %s', (path, line) => {
    expect(faultsOf(line)).toEqual([path])
  })

  it('may mention providers that are given to the gateway', () => {
    expect(() => routerOf({ models: { fast: 'nobody/x' } })).toThrow(ConfigError)
    expect(() => routerOf({ models: { fast: 'given/x' } }, provider('given'))).not.toThrow()
  })
})
