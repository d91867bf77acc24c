import type { ServerResponse } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { logged, makeFolder, spawnSluice, startSluice } from '../support/process.ts'
import { chat, open } from '../support/reader.ts'
import { chatChunks, chunk, startUpstream } from '../support/upstream.ts'

/** Longer than any test waits: what takes it has failed. */
const AN_HOUR = '3600000'

/** The mock sends one word and then stalls for ever. */
const STUCK = { mock: { text: 'one two', interval_ms: 0, stall_at: 1 } }

describe('the program, told to stop', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'on %s takes nothing new and lets what runs come to its end',
    async (name) => {
      let answer: ServerResponse | undefined
      const upstream = await startUpstream((response) => {
        answer = response.writeHead(200, { 'content-type': 'text/event-stream' })
        answer.write(chatChunks(chunk({ content: 'before ' })))
      })
      const sluice = await startSluice({ env: { OPENAI_BASE_URL: upstream.url, DRAIN_MS: AN_HOUR } })
      const reader = await chat(sluice.url, { model: 'openai/any' })
      await reader.until(({ text }) => text === 'before ')
      expect((await open(`${sluice.url}/readyz`)).status).toBe(200)

      sluice.kill(name)
      await logged(sluice, 'draining')
      expect((await open(`${sluice.url}/readyz`)).status).toBe(503)
      expect((await open(`${sluice.url}/healthz`)).status).toBe(200)
      const refused = await (await chat(sluice.url)).end()
      expect(refused.status).toBe(503)
      expect(refused.headers).toMatchObject({ 'content-type': 'application/problem+json', 'retry-after': '5' })
      expect(refused.json).toMatchObject({ code: 'gateway_shutdown', status: 503, retryable: true })

      answer!.end(chatChunks(chunk({ content: 'after' }), chunk({}, { finish_reason: 'stop' }), '[DONE]'))
      await reader.end()
      expect(reader.text).toBe('before after')
      expect(reader.dones).toMatchObject([{ finish_reason: 'stop' }])
      expect(reader.complete).toBe(true)
      expect(await sluice.exited).toBe(0)
    },
  )

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'on %s ends the remaining streams after DRAIN_MS, with gateway_shutdown',
    async (name) => {
      const sluice = await startSluice({ env: { DRAIN_MS: '10' } })
      const reader = await chat(sluice.url, STUCK)
      await reader.until(({ text }) => text === 'one')
      sluice.kill(name)
      await reader.end()
      expect(reader.text).toBe('one')
      expect(reader.dones).toMatchObject([
        { finish_reason: 'error', error: { code: 'gateway_shutdown', retryable: true } },
      ])
      expect(reader.complete).toBe(true)
      expect(await sluice.exited).toBe(0)
    },
  )

  it('does not wait when it is told twice', async () => {
    const sluice = await startSluice({ env: { DRAIN_MS: AN_HOUR } })
    const reader = await chat(sluice.url, STUCK)
    await reader.until(({ text }) => text === 'one')
    sluice.kill('SIGTERM')
    await logged(sluice, 'draining')
    sluice.kill('SIGINT')
    expect(await sluice.exited).toBe(1)
    await reader.end()
    expect(reader.dones).toStrictEqual([])
    expect(reader.complete).toBe(false)
  })

  it('stops at once when nothing runs', async () => {
    const sluice = await startSluice({ env: { DRAIN_MS: AN_HOUR } })
    const reader = await (await chat(sluice.url, { mock: { text: 'a story', interval_ms: 0 } })).end()
    expect(reader.dones).toMatchObject([{ finish_reason: 'stop' }])
    sluice.kill('SIGTERM')
    expect(await sluice.exited).toBe(0)
  })
})

describe('the program, started', () => {
  it('prints its usage and every setting with --help', async () => {
    const sluice = await spawnSluice({ args: ['--help'] })
    expect(await sluice.exited).toBe(0)
    for (const word of ['Usage: sluice', '--config FILE', 'HEARTBEAT_MS', 'DRAIN_MS', 'OPENAI_API_KEY'])
      expect(sluice.output().stdout).toContain(word)
  })

  it('prints the settings in force with --print-config, and no secret', async () => {
    const sluice = await spawnSluice({
      args: ['--print-config'],
      env: { OPENAI_API_KEY: 'sk-marker', HEARTBEAT_MS: '1234' },
    })
    expect(await sluice.exited).toBe(0)
    expect(sluice.output().stdout).toContain('heartbeatMs: 1234')
    expect(sluice.output().stdout).toMatch(/apiKey: ["']?\*+["']?\n/)
    expect(JSON.stringify(sluice.output())).not.toContain('sk-marker')
  })

  it.each<[string, { env?: Record<string, string>; yaml?: string; args?: string[] }, string]>([
    ['a setting of the wrong type', { env: { HEARTBEAT_MS: 'abc' } }, 'HEARTBEAT_MS: '],
    ['a setting that it does not know', { yaml: 'heartbeatMillis: 5' }, 'heartbeatMillis: '],
    ['a bad provider', { yaml: 'providers: { x: { type: openai, baseUrl: 5 } }' }, 'providers.x.baseUrl: '],
    ['a variable that is not there', { yaml: 'defaultModel: ${NO_SUCH_NAME}' }, 'NO_SUCH_NAME'],
    ['a file that is not YAML', { yaml: 'port: [' }, 'settings.yaml: '],
    ['an option that it does not know', { args: ['--prot', '8080'] }, '--prot'],
  ])('refuses %s, and names it', async (_, { env = {}, yaml, args = [] }, told) => {
    const file =
      yaml === undefined ? [] : ['--config', join(await makeFolder({ 'settings.yaml': yaml }), 'settings.yaml')]
    const sluice = await spawnSluice({ env, args: [...args, ...file] })
    expect(await sluice.exited).toBe(1)
    expect(sluice.output().stderr).toContain(told)
    expect(sluice.output().stderr).not.toContain('\n    at ')
  })

  it('says that a port is taken, and which setting names another one', async () => {
    const squatter = createServer()
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void squatter.close())
    const port = String((squatter.address() as AddressInfo).port)
    for (const [setting, env] of Object.entries({ PORT: { PORT: port }, ADMIN_PORT: { ADMIN_PORT: port } })) {
      const sluice = await spawnSluice({ env })
      expect(await sluice.exited).toBe(1)
      const words = `port ${port} of 127.0.0.1 is in use by another process (EADDRINUSE); set ${setting} to another one`
      expect(sluice.output().stderr).toBe(`sluice: ${setting}: ${words}, or stop that process\n`)
    }
  })
})

describe('the program’s log', () => {
  it('holds no secret and nothing of what was asked or answered, at any level', async () => {
    const marker = 'xyzzy-marker'
    const upstream = await startUpstream((response) => {
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: { message: `You said ${marker}, with the key sk-${marker}.` } }))
    })
    const sluice = await startSluice({
      env: { LOG_LEVEL: 'trace', MOCK: 'true', OPENAI_API_KEY: `sk-${marker}`, OPENAI_BASE_URL: upstream.url },
    })
    const messages = [{ role: 'user', content: `I said ${marker}.` }]
    const headers = { authorization: `Bearer ${marker}`, cookie: marker }
    const told = await chat(sluice.url, { messages, mock: { text: `It said ${marker}.`, interval_ms: 0 } }, { headers })
    await told.end()
    expect(told.text).toContain(marker)
    const failed = await (await chat(sluice.url, { messages, model: 'openai/any' }, { headers })).end()
    expect(failed.dones).toMatchObject([{ error: { code: 'upstream_rejected' } }])
    expect((await upstream.request(0)).headers.authorization).toBe(`Bearer sk-${marker}`)
    for (const body of [`{"messages": ${marker}`, { messages: marker }, { messages, mock: { text: [marker] } }]) {
      const refused = await open(`${sluice.url}/v1/chat`, { method: 'POST', body, headers })
      expect(refused.status).toBe(400)
    }

    sluice.kill('SIGTERM')
    expect(await sluice.exited).toBe(0)
    expect(sluice.lines.entries.filter(({ msg }) => msg === 'request')).toHaveLength(5)
    expect(sluice.lines.entries.filter(({ msg }) => msg === 'generation ended')).toHaveLength(2)
    expect(JSON.stringify(sluice.output())).not.toContain(marker)
  })
})
