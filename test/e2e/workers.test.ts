import { connect, createServer, type AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readExposition } from '../support/exposition.ts'
import { logged, spawnSluice, startSluice, type SluiceProcess } from '../support/process.ts'
import { chat, open, resume, type Reader } from '../support/reader.ts'

/** Longer than any test waits: what takes it has failed. */
const AN_HOUR = '3600000'

const TWO = { WORKERS: '2', DRAIN_MS: AN_HOUR }

/** The mock sends one word and then stalls for ever. */
const STUCK = { mock: { text: 'one two', interval_ms: 0, stall_at: 1 } }

const listens = ({ msg }: Record<string, unknown>) => msg === 'worker listens'

const idOf = ({ worker }: Record<string, unknown>) => Number(worker)

/** Ids of processes, by the ids of the workers. */
const pidsOf = ({ lines }: SluiceProcess) =>
  new Map(lines.entries.filter(listens).map((line) => [idOf(line), Number(line.pid)]))

async function answer(url: string): Promise<void> {
  const reader = await (await chat(url, { mock: { text: 'a story', interval_ms: 0 } })).end()
  expect(reader.dones).toMatchObject([{ finish_reason: 'stop' }])
}

async function metricsOf(url: string): Promise<(name: string) => number | undefined> {
  const families = readExposition(await (await fetch(`${url}/metrics`)).text())
  return (name) => families.get(name)?.samples.reduce((sum, { value }) => sum + value, 0)
}

/** Workers that have answered a request. */
async function workersThatAnswered({ lines }: SluiceProcess, requests: number): Promise<Set<number>> {
  const answered = (entries: readonly Record<string, unknown>[]) => entries.filter(({ msg }) => msg === 'request')
  return new Set(answered(await lines.until((entries) => answered(entries).length >= requests)).map(idOf))
}

/** Whether the process is there. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('a gateway of several workers', () => {
  it('serves one port and one admin port, and says so once', async () => {
    const sluice = await startSluice({ env: { ...TWO, ADMIN_PORT: '0' } })
    const line = await logged(sluice, 'listening')
    for (let i = 0; i < 4; i++) await answer(sluice.url)
    expect(await workersThatAnswered(sluice, 4)).toEqual(new Set([1, 2]))
    for (let i = 0; i < 4; i++) expect((await open(`${String(line.admin_url)}/metrics`)).status).toBe(200)
    expect(sluice.lines.entries.filter(({ msg }) => msg === 'listening')).toHaveLength(1)
    expect(sluice.output().stderr.match(/Sluice listens on/g)).toHaveLength(1)
  })

  it('adds up the metrics of its workers, whichever is asked', async () => {
    const sluice = await startSluice({ env: TWO })
    for (let i = 0; i < 4; i++) await answer(sluice.url)
    for (let i = 0; i < 4; i++) {
      const valueOf = await metricsOf(sluice.url)
      expect(valueOf('sluice_streams_total')).toBe(4)
      expect(valueOf('sluice_build_info')).toBe(1)
      expect(valueOf('sluice_workers')).toBe(2)
      expect(valueOf('sluice_worker_restarts_total')).toBe(0)
    }
  })

  it('adds up what is open, whichever worker is asked', async () => {
    const sluice = await startSluice({ env: TWO })
    const status = async () => (await fetch(`${sluice.url}/v1/status`, { headers: { connection: 'close' } })).json()
    const readers = await Promise.all([1, 2, 3].map(() => chat(sluice.url, STUCK)))
    for (const reader of readers) await reader.until(({ text }) => text === 'one')
    const all = { connections: 3, streams: 3 }
    await expect.poll(async () => [await status(), await status()]).toMatchObject([all, all])
    for (const reader of readers) reader.cut()
    await expect
      .poll(async () => [await status(), await status()])
      .toMatchObject([{ connections: 0 }, { connections: 0 }])
  })

  it('serves a stream at every worker, and ends it at the others when its own one dies', async () => {
    const sluice = await startSluice({ env: TWO })
    // Connections go to the workers in turn: one stream is at each, and so are readers of both.
    const streams = [await chat(sluice.url, STUCK), await chat(sluice.url, STUCK)]
    for (const stream of streams) await stream.until(({ text }) => text === 'one')
    const readers: Reader[] = []
    for (const { id } of streams) for (let i = 0; i < 4; i++) readers.push(await resume(sluice.url, id))
    for (const reader of readers) await reader.until(({ text }) => text === 'one')
    process.kill(pidsOf(sluice).get(1)!, 'SIGKILL')
    await expect.poll(() => readers.flatMap(({ dones }) => dones)).not.toEqual([])
    for (const done of readers.flatMap(({ dones }) => dones))
      expect(done).toMatchObject({ finish_reason: 'error', error: { retryable: true } })
    expect(readers.filter(({ closed, dones }) => !closed && dones.length === 0)).not.toEqual([])
  })

  it('replaces a worker that dies, goes on answering, and counts on', async () => {
    const sluice = await startSluice({ env: TWO })
    for (let i = 0; i < 4; i++) await answer(sluice.url)
    expect((await metricsOf(sluice.url))('sluice_streams_total')).toBe(4)
    process.kill(pidsOf(sluice).get(1)!, 'SIGKILL')
    expect(await logged(sluice, 'worker ended')).toMatchObject({ worker: 1, signal: 'SIGKILL' })
    for (let i = 0; i < 4; i++) await answer(sluice.url)
    await sluice.lines.until((entries) => entries.filter(listens).length === 3)
    for (let i = 0; i < 4; i++) await answer(sluice.url)
    expect(await workersThatAnswered(sluice, 12)).toEqual(new Set([1, 2, 3]))
    const valueOf = await metricsOf(sluice.url)
    expect(valueOf('sluice_streams_total')).toBe(12)
    expect(valueOf('sluice_workers')).toBe(2)
    expect(valueOf('sluice_worker_restarts_total')).toBe(1)
  })

  it('drains every worker when it is told to stop, and when all processes of the group are', async () => {
    const sluice = await startSluice({ env: { ...TWO, DRAIN_MS: '500' } })
    const readers = await Promise.all([1, 2].map(() => chat(sluice.url, STUCK)))
    for (const reader of readers) await reader.until(({ text }) => text === 'one')
    for (const pid of pidsOf(sluice).values()) process.kill(pid, 'SIGINT')
    sluice.kill('SIGINT')
    for (const reader of readers) {
      await reader.end()
      expect(reader.dones).toMatchObject([{ error: { code: 'gateway_shutdown' } }])
      expect(reader.complete).toBe(true)
    }
    expect(await sluice.exited).toBe(0)
    for (const pid of pidsOf(sluice).values()) expect(isAlive(pid)).toBe(false)
  })

  it('does not wait when it is told twice', async () => {
    const sluice = await startSluice({ env: TWO })
    const reader = await chat(sluice.url, STUCK)
    await reader.until(({ text }) => text === 'one')
    sluice.kill('SIGTERM')
    await logged(sluice, 'draining')
    sluice.kill('SIGTERM')
    expect(await sluice.exited).toBe(1)
    await reader.end()
    expect(reader.complete).toBe(false)
  })

  it('leaves no worker behind when its primary is killed', async () => {
    const sluice = await startSluice({ env: TWO })
    sluice.kill('SIGKILL')
    expect(await sluice.exited).toBe('SIGKILL')
    for (const pid of pidsOf(sluice).values()) await expect.poll(() => isAlive(pid)).toBe(false)
  })

  it('closes connections beyond the limit of every worker', async () => {
    const sluice = await startSluice({ env: { ...TWO, MAX_CONNECTIONS: '2' } })
    const { hostname, port } = new URL(sluice.url)
    const sockets = Array.from({ length: 6 }, () => connect(Number(port), hostname))
    onTestFinished(() => sockets.forEach((socket) => socket.destroy()))
    // How they are spread over the workers is left to chance.
    for (const socket of sockets) socket.resume()
    await expect.poll(() => sockets.filter(({ destroyed }) => destroyed).length).toBeGreaterThanOrEqual(2)
  })

  it('says once why it cannot start', async () => {
    const squatter = createServer()
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void squatter.close())
    const port = String((squatter.address() as AddressInfo).port)
    const taken = await spawnSluice({ env: { ...TWO, PORT: port } })
    expect(await taken.exited).toBe(1)
    expect(taken.output().stderr).toMatch(new RegExp(`^sluice: PORT: port ${port} .*EADDRINUSE.*set PORT.*\\n$`))
    const bad = await spawnSluice({ env: { ...TWO, TLS_CERT: '/no/such/file', TLS_KEY: '/no/such/file' } })
    expect(await bad.exited).toBe(1)
    expect(bad.output().stderr).toMatch(/^sluice: .*\/no\/such\/file.*\n$/)
  })
})
