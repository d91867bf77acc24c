import { describe, expect, it } from 'vitest'
import { findThrower, loadModule } from '../../providers/modules.ts'
import type { Provider } from '../../providers/provider.ts'
import { loadProvider } from '../../providers/registry.ts'
import { ConfigError } from '../../src/errors.ts'
import { iterate } from '../support/iterate.ts'
import { makeFolder } from '../support/process.ts'

const moduleOf = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`
const load = (provider: string, models?: string[]) =>
  loadModule('mine', { module: moduleOf(`export default ${provider}`), models })

const context = { signal: new AbortController().signal, streamId: 'str_1', options: {}, connectTimeoutMs: 10_000 }
const request = { model: 'm', messages: [] }

async function all(provider: Provider): Promise<unknown[]> {
  const events = []
  for await (const event of iterate(provider.stream(request, context))) events.push(event)
  return events
}

describe('a module that Node cannot load', () => {
  it.each([
    ['typed.ts', 'const a: number = 1', 'compile TypeScript first'],
    ['script.js', 'import "node:fs"', 'name the file .mjs'],
  ])('is refused with what to do: %s', async (name, text, advice) => {
    const folder = await makeFolder({ 'package.json': '{ "type": "commonjs" }', [name]: text })
    // Newer versions of Node load TypeScript, and find no provider in it.
    const words = new RegExp(`${advice}|has no provider`)
    await expect(loadModule('mine', { module: `${folder}/${name}` })).rejects.toThrow(words)
  })
})

describe('a provider of a module', () => {
  it('has the name of its entry, and all else of its own', async () => {
    const provider = await load(
      "{ name: 'theirs', models: ['a'], exemptFromBreaker: true, later: 1, async *stream() {} }",
    )
    expect([provider.name, provider.models, provider.exemptFromBreaker]).toEqual(['mine', ['a'], true])
    expect(Reflect.get(provider, 'later')).toBe(1)
    expect(['models', 'later', 'close'].map((key) => key in provider)).toEqual([true, true, false])
    expect(Reflect.get(provider, 'close')).toBeUndefined()
  })

  it('takes any model where neither it nor its entry lists some', async () => {
    expect((await load('{ async *stream() {} }')).models).toBeUndefined()
    expect((await load('{ async *stream() {} }', ['b'])).models).toEqual(['b'])
    expect((await load("{ models: ['a'], async *stream() {} }", ['b'])).models).toEqual(['b'])
  })

  it.each(['', 'Object.freeze'])('may be an object with private fields and getters: %s', async (wrap) => {
    const provider = await load(`${wrap}(new (class Mine {
      #words = ['one', 'two']
      name = 'mine'
      checked = 0
      get models() { return [...this.#words] }
      check() { this.#words.push('three') }
      async *stream() { yield this.#words.length }
      async close() { this.#words.length = 0 }
    })())`)
    expect(provider.models).toEqual(['one', 'two'])
    provider.check?.(request)
    expect(await all(provider)).toEqual([3])
    await provider.close?.()
    expect(provider.models).toEqual([])
  })

  it.each<[what: string, provider: string, fault: string]>([
    ['nothing', 'null', 'default'],
    ['a text', '"provider"', 'default'],
    ['no method `stream`', '{}', 'default.stream'],
    ['a `check` that is none', '{ stream() {}, check: true }', 'default.check'],
    ['a `close` that is none', '{ stream() {}, close: {} }', 'default.close'],
    ['models that are no list', '{ stream() {}, models: "gpt" }', 'default.models'],
    ['models without names', '{ stream() {}, models: [{ id: "gpt" }] }', 'default.models[0]'],
    ['an `exemptFromBreaker` that is neither', '{ stream() {}, exemptFromBreaker: "no" }', 'default.exemptFromBreaker'],
  ])('is refused by the name of the field when it has %s', async (_, provider, fault) => {
    const error = await load(provider).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toMatchObject({ faults: [{ path: 'providers.mine.module' }] })
    expect(String(error)).toContain(`has no provider as its default export: ${fault}: `)
  })

  it('has keys as those that are built in', async () => {
    const module = moduleOf('export default { async *stream() {} }')
    const keys = async (apiKey?: 'k' | { key: string; weight?: number }[]) =>
      (await loadProvider('mine', { type: 'module', module, options: {}, apiKey })).keys
    expect(await keys()).toEqual([])
    expect(await keys('k')).toEqual([{ key: 'k', weight: 1 }])
    expect(await keys([{ key: 'k', weight: 3 }, { key: 'l' }])).toEqual([
      { key: 'k', weight: 3 },
      { key: 'l', weight: 1 },
    ])
  })
})

describe('findThrower', () => {
  const module = moduleOf('throw new Error()')
  const providers = { mine: { type: 'module', module, options: {} }, other: { type: 'mock' } } as const

  it('finds the module in a stack', () => {
    expect(findThrower(`Error\n    at node:fs:1:1\n    at run (${module}:1:7)`, providers)).toBe('mine')
    expect(findThrower(`Error\n    at ${module}:1:7`, providers)).toBe('mine')
  })

  it('finds none where none is', () => {
    expect(findThrower('', providers)).toBeUndefined()
    expect(findThrower('Error\n    at file:///app/main.js:1:7', providers)).toBeUndefined()
  })
})
