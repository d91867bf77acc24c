import { readFile } from 'node:fs/promises'
import { EventSource } from 'eventsource'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { SluiceError } from '../../src/errors.ts'
import type { GatewayStatus } from '../../src/http/handlers/gateway-status.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, open, type Reader } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

const SSE = { accept: 'text/event-stream' }

const watch = (url: string) => open(`${url}/v1/status`, { headers: SSE })

async function ask(url: string): Promise<unknown> {
  return (await (await open(`${url}/v1/status`)).end()).json
}

function updates(reader: Reader): GatewayStatus[] {
  return reader.messages.filter(({ event }) => event === 'update').map(({ data }) => JSON.parse(data))
}

/** Waits until the latest update says this. */
async function untilTold(reader: Reader, expected: Partial<GatewayStatus>): Promise<void> {
  const wanted = Object.entries(expected)
  await reader.until(() => {
    const latest: Partial<Record<string, unknown>> = { ...updates(reader).at(-1) }
    return wanted.every(([name, value]) => latest[name] === value)
  })
}

describe('GET /v1/status', () => {
  it('tells as JSON what the gateway is doing', async () => {
    const provider = new ScriptedProvider()
    const before = Date.now()
    const { url } = await startGateway({}, { providers: [provider] })
    await chat(url, { model: 'scripted' })
    const reader = await (await open(`${url}/v1/status`)).end()
    expect(reader.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      vary: 'Accept',
    })
    const status = reader.json as GatewayStatus
    expect(status).toStrictEqual({
      status: 'ready',
      version: JSON.parse(await readFile('package.json', 'utf8')).version,
      started: expect.any(Number),
      connections: 1,
      streams: 1,
      providers: [
        { name: 'scripted', breakers_open: 0 },
        { name: 'mock', breakers_open: 0 },
      ],
    })
    expect(status.started).toBeGreaterThanOrEqual(before)
    expect(status.started).toBeLessThanOrEqual(Date.now())
  })

  it('tells of targets that are left alone', async () => {
    const provider = new ScriptedProvider()
    const breaker = { failures: 1, cooldownMs: 60_000 }
    const { url } = await startGateway({ breaker }, { providers: [provider] })
    const reader = await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.fail(new SluiceError('upstream_unavailable', 'Not now.'))
    await reader.end()
    expect(await ask(url)).toMatchObject({
      providers: [
        { name: 'scripted', breakers_open: 1 },
        { name: 'mock', breakers_open: 0 },
      ],
    })
  })

  it('answers 406 to a caller who takes neither events nor JSON', async () => {
    const { url } = await startGateway()
    const reader = await (await open(`${url}/v1/status`, { headers: { accept: 'image/png' } })).end()
    expect(reader.status).toBe(406)
    expect(reader.json).toMatchObject({ code: 'not_acceptable', errors: [{ path: 'Accept' }] })
  })
})

describe('the feed of the status', () => {
  it('tells the status at once, and again whenever it is another', async () => {
    const provider = new ScriptedProvider()
    const { url } = await startGateway({}, { providers: [provider] })
    const watcher = await watch(url)
    await untilTold(watcher, { connections: 0, streams: 0 })
    expect(updates(watcher)).toStrictEqual([await ask(url)])
    const first = await chat(url, { model: 'scripted' })
    await untilTold(watcher, { connections: 1, streams: 1 })
    const second = await chat(url, { model: 'scripted' })
    await untilTold(watcher, { connections: 2, streams: 2 })
    first.cut()
    await untilTold(watcher, { connections: 1, streams: 2 })
    for (const run of provider.runs) run.done()
    await second.end()
    await untilTold(watcher, { connections: 0, streams: 0 })
    const texts = watcher.messages.map(({ data }) => data)
    expect(texts.filter((text, index) => text === texts[index - 1])).toStrictEqual([])
    expect(watcher.retries).toHaveLength(1)
  })

  it('sends heartbeats while nothing changes, and does not count those who watch', async () => {
    const gateway = await startGateway({ heartbeatMs: 20 })
    const watchers = await Promise.all(Array.from({ length: 3 }, () => watch(gateway.url)))
    for (const watcher of watchers) {
      await watcher.until(({ comments }) => comments.length >= 3)
      expect(updates(watcher)).toMatchObject([{ connections: 0, streams: 0 }])
    }
    expect(await gateway.metric('sluice_connections_open{protocol="native"}')).toBe(0)
  })

  it('looks at nothing while nobody watches', async () => {
    const { url, services } = await startGateway()
    const looks = vi.spyOn(services.router, 'openBreakers')
    const watchers = await Promise.all([watch(url), watch(url)])
    for (const watcher of watchers) await watcher.until(({ messages }) => messages.length === 1)
    for (const watcher of watchers) watcher.cut()
    await expect.poll(() => services.heartbeat.size).toBe(0)
    looks.mockClear()
    // Another gateway, whose status changes twice: so often would the first have been looked at.
    const provider = new ScriptedProvider()
    const other = await startGateway({}, { providers: [provider] })
    const witness = await watch(other.url)
    await untilTold(witness, { streams: 0 })
    await chat(other.url, { model: 'scripted' })
    await untilTold(witness, { streams: 1 })
    provider.runs[0]?.done()
    await untilTold(witness, { streams: 0 })
    expect(looks).not.toHaveBeenCalled()
  })

  it('ends when the gateway drains, and is not begun again', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ drainMs: 60_000 }, { providers: [provider] })
    const { url } = gateway
    await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    const watcher = await watch(url)
    await untilTold(watcher, { status: 'ready', streams: 1 })
    const drained = gateway.drain()
    await watcher.end()
    expect(watcher.complete).toBe(true)
    expect(watcher.messages.at(-1)).toMatchObject({ event: 'end', data: '{}' })
    expect(updates(watcher).at(-1)).toMatchObject({ status: 'draining', streams: 1 })
    expect((await watch(url)).status).toBe(204)
    expect(await ask(url)).toMatchObject({ status: 'draining', streams: 1 })
    run.done()
    await drained
  })

  it('stops an EventSource for good when the gateway drains', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ drainMs: 60_000 }, { providers: [provider] })
    const { url } = gateway
    await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    const source = new EventSource(`${url}/v1/status`)
    onTestFinished(() => source.close())
    await new Promise((resolve) => source.addEventListener('update', resolve, { once: true }))
    const ended = new Promise((resolve) => source.addEventListener('end', resolve, { once: true }))
    const closed = new Promise<void>((resolve) => {
      source.addEventListener('error', () => source.readyState === source.CLOSED && resolve())
    })
    const drained = gateway.drain()
    await ended
    await closed
    run.done()
    await drained
  })
})
