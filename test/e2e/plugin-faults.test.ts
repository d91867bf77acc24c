import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { logged, makeFolder, startSluice, type SluiceProcess } from '../support/process.ts'
import { chat } from '../support/reader.ts'

/** The mock sends one word and then stalls for ever. */
const STUCK = { mock: { text: 'one two', interval_ms: 0, stall_at: 1 } }

/** A plugin that answers, and runs `fault` with the prompt in `content`. */
const plugin = (fault: string, exported = 'export default') => `
async function* stream({ messages: [{ content }] }) {
  ${fault}
  yield { type: 'delta', content: 'answer' }
  yield { type: 'done', finish_reason: 'stop' }
}
${exported} { name: 'plugin', stream }
`

interface Plugin {
  fault: string
  file?: string
  exported?: string
  link?: string
}

/** The program with a plugin named `faulty` and a correct one. */
async function startWith({ fault, file = 'plugin.mjs', exported, link }: Plugin, env: Record<string, string> = {}) {
  const folder = await makeFolder({ [file]: plugin(fault, exported), 'good.mjs': plugin('') })
  if (link) await symlink(join(folder, file), join(folder, link))
  const providers = { good: { module: join(folder, 'good.mjs') }, faulty: { module: join(folder, link ?? file) } }
  const settings = await makeFolder({ 'sluice.yaml': JSON.stringify({ providers }) })
  return startSluice({ env: { MOCK: 'true', ...env }, args: ['--config', join(settings, 'sluice.yaml')] })
}

async function ask(sluice: SluiceProcess & { url: string }): Promise<string> {
  const messages = [{ role: 'user', content: 'the prompt' }]
  return (await (await chat(sluice.url, { model: 'faulty', messages })).end()).text
}

describe('an unhandled rejection in a plugin', () => {
  it('is logged with the message at debug level', async () => {
    const sluice = await startWith(
      { fault: 'void Promise.reject(new TypeError("no function"))' },
      { LOG_LEVEL: 'debug' },
    )
    await ask(sluice)
    expect(await logged(sluice, 'unhandled rejection')).toMatchObject({
      provider: 'faulty',
      err: { type: 'TypeError', message: 'no function' },
    })
  })

  it.each<[what: string, plugin: Plugin]>([
    ['', { fault: 'void Promise.reject(new TypeError(content))' }],
    ['later', { fault: 'setTimeout(async () => { throw new TypeError(content) }, 1)' }],
    ['in a folder with a space', { fault: 'void Promise.reject(new TypeError(content))', file: 'a plugin.mjs' }],
    [
      'as CommonJS',
      { fault: 'void Promise.reject(new TypeError(content))', file: 'a b.cjs', exported: 'module.exports =' },
    ],
    ['behind a link', { fault: 'void Promise.reject(new TypeError(content))', link: 'link.mjs' }],
  ])('is logged with the provider but without the message, and harms no stream: %s', async (_, each) => {
    const sluice = await startWith(each)
    expect(await ask(sluice)).toBe('answer')
    const line = await logged(sluice, 'unhandled rejection')
    expect(line).toMatchObject({ level: 'error', provider: 'faulty', err: { type: 'TypeError' } })
    expect(await ask(sluice)).toBe('answer')
    sluice.kill('SIGTERM')
    expect(await sluice.exited).toBe(0)
    expect(JSON.stringify(sluice.output())).not.toContain('the prompt')
  })

  it.each([
    ['ESM', '{ "type": "module", "exports": "./lib.js" }', plugin('void Promise.reject(new TypeError(content))')],
    ['CommonJS', '{ "main": "lib.js" }', plugin('void Promise.reject(new TypeError(content))', 'module.exports =')],
  ])('is logged with the provider that is a linked package: %s', async (_, manifest, text) => {
    const there = await makeFolder({ 'package.json': manifest, 'lib.js': text })
    const cwd = await makeFolder({ 'sluice.yaml': 'providers: { faulty: { module: my-plugin } }' })
    await mkdir(join(cwd, 'node_modules'))
    await symlink(there, join(cwd, 'node_modules/my-plugin'))
    const sluice = await startSluice({ cwd })
    expect(await ask(sluice)).toBe('answer')
    expect(await logged(sluice, 'unhandled rejection')).toMatchObject({ provider: 'faulty' })
  })

  it.each(['content', 'undefined', '{ stack: content }', 'Object.assign(new Error(content), { stack: undefined })'])(
    'is logged without a provider when the stack names none: %s',
    async (reason) => {
      const sluice = await startWith({ fault: `void Promise.reject(${reason})` })
      expect(await ask(sluice)).toBe('answer')
      const line = await logged(sluice, 'unhandled rejection')
      expect(line).not.toHaveProperty('provider')
      sluice.kill('SIGTERM')
      expect(await sluice.exited).toBe(0)
      expect(JSON.stringify(sluice.output())).not.toContain('the prompt')
    },
  )
})

describe('an uncaught exception', () => {
  const fault = 'setTimeout(() => { throw new TypeError(content) }, 1)'

  it('is logged, and exits with 1 once streams have ended', async () => {
    const sluice = await startWith({ fault }, { DRAIN_MS: '10' })
    const running = await chat(sluice.url, STUCK)
    await running.until(({ text }) => text === 'one')
    expect(await ask(sluice)).toBe('answer')
    await running.end()
    expect(running.dones).toMatchObject([{ finish_reason: 'error', error: { code: 'gateway_shutdown' } }])
    expect(await sluice.exited).toBe(1)
    const line = await logged(sluice, 'uncaught exception')
    expect(line).toMatchObject({ level: 'fatal', provider: 'faulty', err: { type: 'TypeError' } })
    expect(sluice.lines.entries.at(-1)).toMatchObject({ msg: 'stopped' })
    expect(JSON.stringify(sluice.output())).not.toContain('the prompt')
  })

  it('may recur during the shutdown', async () => {
    const again = 'setInterval(() => { throw new TypeError(content) }, 1)'
    const sluice = await startWith({ fault: again }, { DRAIN_MS: '100' })
    const running = await chat(sluice.url, STUCK)
    await running.until(({ text }) => text === 'one')
    expect(await ask(sluice)).toBe('answer')
    expect((await running.end()).dones).toMatchObject([{ error: { code: 'gateway_shutdown' } }])
    expect(await sluice.exited).toBe(1)
  })

  it('does not count as a first signal', async () => {
    const sluice = await startWith({ fault }, { DRAIN_MS: '3600000' })
    const running = await chat(sluice.url, { mock: { tokens: 1_000_000, interval_ms: 1 } })
    await running.until(({ text }) => text !== '')
    await ask(sluice)
    await logged(sluice, 'draining')
    sluice.kill('SIGTERM')
    await fetch(`${sluice.url}/v1/streams/${running.id}`, { method: 'DELETE' })
    expect((await running.end()).dones).toMatchObject([{ finish_reason: 'cancelled' }])
    expect(await sluice.exited).toBe(1)
  })
})
