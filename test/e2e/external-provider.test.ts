import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeFolder, ROOT, spawnSluice, startSluice } from '../support/process.ts'
import { chat, open } from '../support/reader.ts'

/** `--config` with these providers. */
async function configured(providers: Record<string, unknown>): Promise<string[]> {
  // JSON is YAML, too.
  const folder = await makeFolder({ 'sluice.yaml': JSON.stringify({ providers }) })
  return ['--config', join(folder, 'sluice.yaml')]
}

describe('a provider from outside', () => {
  async function startTicker() {
    const ticker = { module: './examples/stock-ticker.js', options: { symbols: ['AAA', 'BBB'], interval_ms: 1 } }
    return startSluice({ args: await configured({ ticker }), cwd: ROOT })
  }

  it('streams what it likes, with the options of its configuration', async () => {
    const { url } = await startTicker()
    const reader = await (await chat(url, { model: 'ticker', max_tokens: 4 })).end()
    const price = String.raw`\d+\.\d\d\n`
    expect(reader.text).toMatch(new RegExp(`^AAA ${price}BBB ${price}AAA ${price}BBB ${price}$`))
    expect(reader.dones).toStrictEqual([
      {
        finish_reason: 'length',
        usage: { prompt_tokens: 0, completion_tokens: 4, total_tokens: 4 },
        model: 'ticker',
        provider: 'ticker',
      },
    ])
  })

  it('is given the request: the same seed takes the same course', async () => {
    const { url } = await startTicker()
    const texts = []
    for (const seed of [1, 1, 2])
      texts.push((await (await chat(url, { model: 'ticker', max_tokens: 20, seed })).end()).text)
    expect(texts[0]).toBe(texts[1])
    expect(texts[0]).not.toBe(texts[2])
  })

  it('is stopped with its stream, and not blamed for that', async () => {
    const sluice = await startTicker()
    const reader = await chat(sluice.url, { model: 'ticker', max_tokens: 1_000_000_000 })
    await reader.until(({ messages }) => messages.length > 3)
    await open(`${sluice.url}/v1/streams/${reader.id}`, { method: 'DELETE' })
    await reader.end()
    expect(reader.dones).toMatchObject([{ finish_reason: 'cancelled' }])
    sluice.kill('SIGTERM')
    expect(await sluice.exited).toBe(0)
    expect(sluice.lines.entries.filter(({ level }) => level === 'error')).toStrictEqual([])
  })
})

describe('a package that is a provider', () => {
  const provider = (text: string) => `{
    async *stream() {
      yield { type: 'delta', content: '${text}' }
      yield { type: 'done', finish_reason: 'stop' }
    },
  }`

  /** A folder with these packages, and a configuration of providers by their names. */
  async function install(packages: Record<string, Record<string, string>>, modules: Record<string, string>) {
    const providers = Object.fromEntries(Object.entries(modules).map(([name, module]) => [name, { module }]))
    const folder = await makeFolder({ 'sluice.yaml': JSON.stringify({ providers }) })
    for (const [name, files] of Object.entries(packages)) {
      await mkdir(join(folder, 'node_modules', name), { recursive: true })
      for (const [file, text] of Object.entries(files)) await writeFile(join(folder, 'node_modules', name, file), text)
    }
    return folder
  }

  it('is found by its name, from the working directory', async () => {
    const packages = {
      // `require` may not have the first, and would have another of the last.
      'my-provider': {
        'package.json': '{ "type": "module", "exports": { "import": "./index.js" } }',
        'index.js': `export default ${provider('mine')}`,
      },
      '@scope/pkg': {
        'package.json': '{ "exports": { "./sub": { "import": "./sub.mjs", "require": "./sub.cjs" } } }',
        'sub.mjs': `export default ${provider('sub')}`,
        'sub.cjs': `module.exports = ${provider('wrong')}`,
      },
      common: { 'package.json': '{ "main": "main.js" }', 'main.js': `module.exports = ${provider('common')}` },
    }
    const modules = { a: 'my-provider', b: '@scope/pkg/sub', c: 'common' }
    const { url } = await startSluice({ cwd: await install(packages, modules) })
    const texts = Object.keys(modules).map(async (model) => (await (await chat(url, { model })).end()).text)
    expect(await Promise.all(texts)).toEqual(['mine', 'sub', 'common'])
  })

  it.each([
    ['is not installed', 'my-provider', 'my-provider cannot be loaded: no such package is installed in '],
    ['is a file, written without ./', 'sluice.yaml', 'the file is ./sluice.yaml'],
    ['does not export that', 'other/sub', 'other/sub cannot be loaded: its package.json exports nothing as ./sub'],
    ['lacks what it imports', 'lacking', 'lacking cannot be loaded: Error [ERR_MODULE_NOT_FOUND]'],
  ])('is refused by its place in the configuration when it %s', async (_, module, words) => {
    const packages = {
      other: { 'package.json': '{ "exports": "./index.js" }' },
      lacking: { 'package.json': '{ "main": "index.mjs" }', 'index.mjs': 'import "nothing-of-that-name"' },
    }
    const sluice = await spawnSluice({ cwd: await install(packages, { broken: module }) })
    expect(await sluice.exited).toBe(1)
    expect(sluice.output().stderr).toContain('providers.broken.module: ')
    expect(sluice.output().stderr).toContain(words)
    expect(sluice.output().stderr).not.toContain('\n    at ')
  })
})

it('a provider from outside is asked for by its own name where it takes any model', async () => {
  const files = { 'a.mjs': 'export default { async *stream({ model }) { yield { type: "delta", content: model } } }' }
  const folder = await makeFolder({
    ...files,
    'sluice.yaml': 'providers: { first: { module: ./a.mjs }, second: { module: ./a.mjs } }',
  })
  const { url } = await startSluice({ cwd: folder })
  for (const [model, provider] of [
    ['second', 'second'],
    ['second/any/model', 'second'],
  ])
    expect((await (await chat(url, { model })).end()).dones).toMatchObject([{ provider }])
  expect((await chat(url, { model: 'any' })).status).toBe(404)
})

describe('a module that is no provider', () => {
  it.each([
    ['has no default export', 'export const provider = { stream() {} }'],
    ['has something else as its default export', 'export default { name: "x" }'],
    ['throws when it is loaded', 'throw new Error("The module broke.")'],
    ['is not JavaScript', 'export default {'],
    ['is not there', undefined],
  ])('is refused by its place in the configuration when it %s', async (_, text) => {
    const path = join(await makeFolder(text === undefined ? {} : { 'provider.mjs': text }), 'provider.mjs')
    const sluice = await spawnSluice({ args: await configured({ broken: { module: path } }) })
    expect(await sluice.exited).toBe(1)
    expect(sluice.output().stderr).toContain(`providers.broken.module: ${path}`)
    expect(sluice.output().stderr).not.toContain('\n    at ')
  })

  it('is refused when its options are none', async () => {
    const module = './examples/stock-ticker.js'
    const sluice = await spawnSluice({ args: await configured({ broken: { module, options: 'fast' } }), cwd: ROOT })
    expect(await sluice.exited).toBe(1)
    expect(sluice.output().stderr).toContain('providers.broken.options: ')
  })
})
