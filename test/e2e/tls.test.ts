import { Agent, request } from 'node:https'
import { connect } from 'node:tls'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { loadConfig, type Environment } from '../../src/config.ts'
import { ConfigError } from '../../src/errors.ts'
import { createGateway } from '../../src/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import { makeFolder, spawnSluice } from '../support/process.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { CA, TLS } from '../support/tls.ts'

const quick = { mock: { text: 'a b c', interval_ms: 0 } }
const scripted = { model: 'scripted' }

async function setUp(settings: Parameters<typeof startGateway>[0] = {}) {
  const provider = new ScriptedProvider()
  return { provider, gateway: await startGateway({ ...TLS, ...settings }, { providers: [provider] }) }
}

describe('the native protocol over HTTP/1.1 and TLS', () => {
  it('is there for who does not ask for HTTP/2', async () => {
    const { gateway } = await setUp()
    const { port, hostname: host } = new URL(gateway.url)
    for (const [offered, agreed] of [
      [['h2', 'http/1.1'], 'h2'],
      [['http/1.1'], 'http/1.1'],
      [undefined, false],
    ] as const) {
      const ALPNProtocols = offered && [...offered]
      const socket = connect({ port: Number(port), host, ca: CA, ...(ALPNProtocols && { ALPNProtocols }) })
      onTestFinished(() => void socket.destroy())
      await once(socket, 'secureConnect')
      expect(socket.alpnProtocol).toBe(agreed)
    }
    await expect(open(gateway.url.replace('https:', 'http:'))).rejects.toThrow()
  })

  it('streams, resumes, cancels and answers with JSON', async () => {
    const { provider, gateway } = await setUp()
    const first = await chat(gateway.url, scripted)
    expect(first.headers['transfer-encoding']).toBe('chunked')
    const run = await provider.nextRun()
    run.text('one ')
    await first.until(({ text }) => text === 'one ')
    first.cut()
    run.text('two ')
    const second = await resume(gateway.url, first.id, 1)
    await second.until(({ text }) => text === 'two ')
    await open(`${gateway.url}/v1/streams/${first.id}`, { method: 'DELETE' })
    await run.aborted
    await second.end()
    expect(second.dones).toMatchObject([{ finish_reason: 'cancelled' }])
    expect(second.complete).toBe(true)
    const whole = await (await chat(gateway.url, quick, { headers: { accept: 'application/json' } })).end()
    expect(whole.json).toMatchObject({ message: { content: 'a b c' } })
  })

  it('merges what a slow reader slept through, and cuts one that sleeps on', async () => {
    const { provider, gateway } = await setUp({ slowReaderMs: 1000, streamMaxBytes: 64 * 1024 ** 2 })
    const [waking, sleeping] = [
      await chat(gateway.url, scripted, { paused: true }),
      await chat(gateway.url, scripted, { paused: true }),
    ]
    const tokens = Array.from({ length: 20_000 }, (_, i) => `${i} `.padEnd(400, 'abcdefghi '))
    for (const run of [await provider.nextRun(), await provider.nextRun()]) {
      run.text(...tokens)
      run.done()
    }
    await expect.poll(() => gateway.metric('sluice_backpressure_waits_total')).toBeGreaterThanOrEqual(2)
    waking.resume()
    await waking.end()
    expect([waking.text, waking.complete]).toStrictEqual([tokens.join(''), true])
    expect(waking.messages.length).toBeLessThan(2000)
    await expect.poll(() => gateway.metric('sluice_slow_readers_closed_total')).toBe(1)
    sleeping.resume()
    await sleeping.end()
    expect(sleeping.complete).toBe(false)
  })

  it('uses a connection again, which drain closes', async () => {
    const { gateway } = await setUp()
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: CA })
    onTestFinished(() => agent.destroy())
    const ports = new Set<number | undefined>()
    for (let count = 0; count < 3; count++) {
      const sent = request(`${gateway.url}/v1/chat`, {
        method: 'POST',
        agent,
        headers: { 'content-type': 'application/json' },
      })
      sent.end(JSON.stringify({ ...quick, messages: [{ role: 'user', content: 'hi' }] }))
      const [response] = await once(sent, 'response')
      ports.add(response.socket.localPort)
      response.resume()
      await once(response, 'end')
    }
    expect(ports.size).toBe(1)
    await gateway.drain()
  })
})

describe('a certificate', () => {
  async function faultsOf(environment: Environment) {
    try {
      await createGateway(loadConfig({ environment: { LOG_LEVEL: 'silent', ...environment } }))
    } catch (error) {
      if (error instanceof ConfigError) return error.faults
      throw error
    }
    return []
  }

  it('is a pair of files that belong together, or a fault that names the setting', async () => {
    const other = await readFile(new URL('../fixtures/tls/other-key.pem', import.meta.url), 'utf8')
    const folder = await makeFolder({ 'text.pem': 'no certificate', 'other.pem': other })
    const file = (name: string) => join(folder, name)
    const { tlsCert: TLS_CERT, tlsKey: TLS_KEY } = TLS
    expect(await faultsOf({ TLS_CERT, TLS_KEY })).toStrictEqual([])
    const fault = async (environment: Environment, path: string, message: string) =>
      expect(await faultsOf(environment)).toStrictEqual([{ path, message: expect.stringContaining(message) }])
    await fault({ TLS_CERT }, 'TLS_KEY', 'is missing')
    await fault({ TLS_KEY }, 'TLS_CERT', 'is missing')
    await fault({ TLS_CERT: file('none.pem'), TLS_KEY }, 'TLS_CERT', 'cannot be read: ENOENT')
    await fault({ TLS_CERT, TLS_KEY: folder }, 'TLS_KEY', 'cannot be read: EISDIR')
    await fault({ TLS_CERT: file('text.pem'), TLS_KEY }, 'TLS_CERT', 'is not a PEM certificate')
    await fault({ TLS_CERT: TLS_KEY, TLS_KEY }, 'TLS_CERT', 'is not a PEM certificate')
    await fault({ TLS_CERT, TLS_KEY: file('text.pem') }, 'TLS_KEY', 'is not a PEM key')
    await fault({ TLS_CERT, TLS_KEY: file('other.pem') }, 'TLS_KEY', 'belongs to the certificate')
  })

  it('that cannot be used ends the program, with a word and no stack', async () => {
    const sluice = await spawnSluice({ env: { TLS_CERT: TLS.tlsCert } })
    expect(await sluice.exited).toBe(1)
    expect(sluice.output().stderr).toMatch(/TLS_KEY: is missing/)
    expect(sluice.output().stderr).not.toMatch(/^\s+at /m)
  })
})
