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
