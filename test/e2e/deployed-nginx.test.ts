import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { bearer, withKeys } from '../support/keys.ts'
import { shareMemory } from '../support/nodes.ts'
import { describeWith } from '../support/programs.ts'
import { startDeployedNginx } from '../support/proxies/deployed-nginx.ts'
import { expectEveryToken } from '../support/proxies/every-token.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

/** Two gateways that share their streams, behind nginx. */
async function startNodes(program: string, settings: Parameters<typeof startGateway>[0] = {}) {
  const shared = shareMemory(settings)
  const provider = new ScriptedProvider()
  const start = async () => startGateway(settings, { backplane: await shared.connect(), providers: [provider] })
  const gateways = [await start(), await start()] as const
  const nginx = await startDeployedNginx(program, [gateways[0].url, gateways[1].url])
  return { ...nginx, provider, gateways }
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A node that is no gateway: what it was asked, on how many connections, and what it answers. */
async function startNode(answer: Answer) {
  const requests: IncomingMessage[] = []
  let connections = 0
  const server = createServer((request, response) => {
    requests.push(request)
    request.resume().on('end', () => answer(request, response))
  })
  server.on('connection', () => void (connections += 1))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, requests, connections: () => connections }
}

const ok: Answer = (_, response) => void response.end('{}')
const unavailable: Answer = (_, response) => void response.writeHead(503, { 'retry-after': '1' }).end('{}')
const breaksOff: Answer = (request) => void request.socket.destroy()

/** A port on which nothing listens. */
async function refusingNode(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

const post = (url: string) => open(`${url}/v1/chat`, { method: 'POST', body: { messages: [] } })

describeWith('nginx', 'deploy/nginx.conf', (program) => {
  it('brings every token as soon as it is there', async () => {
    const { provider, url } = await startNodes(program)
    await expectEveryToken(provider, url)
  })

  it('lets a stream be read through whichever node is next, without losing or repeating a token', async () => {
    const { provider, gateways, url } = await startNodes(program)
    const created = await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.text('one ', 'two ')
    await created.until(({ text }) => text === 'one two ')
    const readers = [await resume(url, created.id), await resume(url, created.id), await resume(url, created.id, 1)]
    run.text('three')
    run.done()
    for (const reader of readers) await reader.end()
    expect(readers.map(({ text }) => text)).toEqual(['one two three', 'one two three', 'two three'])
    const requests = gateways.map(({ logs }) => logs.filter(({ msg }) => msg === 'request').length)
    expect(Math.min(...requests)).toBeGreaterThan(0)
  })

  it('tells the gateway when a reader leaves', async () => {
    const { provider, url } = await startNodes(program, { resumeWindowMs: 0 })
    const reader = await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    reader.cut()
    await run.aborted
  })

  it('is ready, and has all streams, while one of its nodes drains', async () => {
    const { provider, gateways, url } = await startNodes(program, { drainMs: 60_000 })
    const running = await chat(gateways[0].url, { model: 'scripted' })
    const run = await provider.nextRun()
    const drained = gateways[0].drain()
    for (let count = 0; count < 4; count++) {
      expect((await (await open(`${url}/readyz`)).end()).status).toBe(200)
      expect((await resume(url, running.id)).status).toBe(200)
    }
    run.done()
    await drained
  })

  it('sends a POST to the other node when one refuses the connection', async () => {
    const node = await startNode(ok)
    const { url } = await startDeployedNginx(program, [await refusingNode(), node.url])
    for (let count = 0; count < 4; count++) expect((await (await post(url)).end()).status).toBe(200)
    expect(node.requests).toHaveLength(4)
  })

  it('never repeats a POST that was sent', async () => {
    const nodes = [await startNode(breaksOff), await startNode(breaksOff)] as const
    const { url } = await startDeployedNginx(program, [nodes[0].url, nodes[1].url])
    for (let count = 1; count <= 4; count++) {
      expect((await (await post(url)).end()).status).toBe(502)
      expect(nodes[0].requests.length + nodes[1].requests.length).toBe(count)
    }
  })

  it('sends reads that get 503, or lose their node, to the other; a POST keeps its 503', async () => {
    for (const answer of [unavailable, breaksOff]) {
      const healthy = await startNode(ok)
      const { url } = await startDeployedNginx(program, [(await startNode(answer)).url, healthy.url])
      for (const method of ['GET', 'DELETE', 'GET', 'DELETE'])
        expect((await (await open(`${url}/v1/streams/str_1`, { method })).end()).status).toBe(200)
    }
    const nodes = [await startNode(unavailable), await startNode(unavailable)] as const
    const { url } = await startDeployedNginx(program, [nodes[0].url, nodes[1].url])
    const refused = await (await post(url)).end()
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1'])
    expect(nodes[0].requests.length + nodes[1].requests.length).toBe(1)
  })

  it('takes no node away for its answers: the next request still gets one', async () => {
    const nodes = [await startNode(unavailable), await startNode(unavailable)] as const
    const { url } = await startDeployedNginx(program, [nodes[0].url, nodes[1].url])
    for (let count = 0; count < 6; count++) expect((await (await open(`${url}/readyz`)).end()).status).toBe(503)
  })

  it('keeps its connections to the nodes, and tells them the address of the client', async () => {
    const node = await startNode(ok)
    const { url } = await startDeployedNginx(program, [node.url, node.url])
    // One connection of the client, so one worker process: each has connections of its own.
    for (let count = 0; count < 6; count++)
      await (await fetch(url, { headers: { 'x-forwarded-for': '203.0.113.7' } })).text()
    expect(node.connections()).toBeLessThan(6)
    for (const { headers, httpVersion } of node.requests) {
      expect(httpVersion).toBe('1.1')
      expect(headers).toMatchObject({ host: new URL(url).host, 'x-forwarded-for': '203.0.113.7, 127.0.0.1' })
    }
  })

  it('lets the gateway refuse what is too large, in its own words', async () => {
    const { url } = await startNodes(program)
    const content = 'x'.repeat(11 * 1024 ** 2)
    const refused = await (await chat(url, { messages: [{ role: 'user', content }] })).end()
    expect(refused.json).toMatchObject({ status: 413, code: 'body_too_large' })
  })

  it('writes no ticket to its logs, whatever happens to the request', async () => {
    const { provider, url, log, gateways } = await startNodes(program, {
      ...withKeys(),
      ticketSecret: ['x'.repeat(24)],
    })
    const headers = { ...bearer(), prefer: 'respond-async' }
    const made = await (await chat(url, { model: 'scripted' }, { headers })).end()
    const run = await provider.nextRun()
    run.done()
    const { url: address } = made.json as { url: string }
    expect(address).toContain('ticket=')
    expect((await (await open(url + address)).end()).status).toBe(200)
    await Promise.all(gateways.map((gateway) => gateway.drain()))
    expect((await (await open(url + address)).end()).status).toBe(502)
    await expect.poll(log).toMatch(/GET \/v1\/streams\/\w+" 502 /)
    expect(await log()).not.toContain('ticket')
  })

  it('shows nobody the metrics of a node', async () => {
    const { url } = await startNodes(program)
    expect((await (await open(`${url}/metrics`)).end()).status).toBe(404)
  })
})
