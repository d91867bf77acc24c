import Koa from 'koa'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ANONYMOUS, toCaller } from '../../src/access/caller.ts'
import type { RequestContext, RequestState } from '../../src/http/context.ts'
import { openStream, type OpenedStream } from '../../src/http/open-stream.ts'
import { sendStream } from '../../src/http/send-stream.ts'
import { native } from '../../src/protocols/native/native.ts'
import { continueTrace } from '../../src/telemetry/tracing.ts'
import { RemoteDirectory } from '../support/directories.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

const NO_WINDOW = { resumeWindowMs: 0, sdkResumeWindowMs: 0 }
const MOCK = { mock: { text: 'one two three', interval_ms: 1 } }

async function setUp(settings: Parameters<typeof startGateway>[0] = {}) {
  const directory = new RemoteDirectory()
  const provider = new ScriptedProvider()
  const gateway = await startGateway(settings, { directory: () => directory, providers: [provider] })
  return { directory, provider, gateway }
}

describe('a stream that nobody waits for when its readers have left', () => {
  it.each([
    ['/v1/chat', 'text/event-stream', {}],
    ['/v1/chat', 'application/json', {}],
    ['/v1/chat/completions', '*/*', { model: 'mock', stream: true }],
    ['/v1/chat/completions', '*/*', { model: 'mock' }],
    ['/v1/messages', '*/*', { model: 'mock', stream: true, max_tokens: 100 }],
  ])('is read to its end though its creation takes a while: %s %s', async (path, accept, fields) => {
    const { gateway } = await setUp(NO_WINDOW)
    const body = { messages: [{ role: 'user', content: 'hi' }], ...MOCK, ...fields }
    const reader = await open(gateway.url + path, { method: 'POST', headers: { accept }, body })
    await reader.end()
    expect([reader.status, reader.complete]).toEqual([200, true])
    const found = await gateway.services.store.find(reader.id, 'anonymous')
    expect(found).toMatchObject({ log: { done: { finish_reason: 'stop' }, readers: 0, readerCount: { total: 0 } } })
  })

  it('goes on while its request waits between its start and the first subscription', async () => {
    const { gateway, provider } = await setUp(NO_WINDOW)
    let opened: OpenedStream | undefined
    const { url, goOn } = await slowHandler(gateway, (stream) => (opened = stream))
    const answer = chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    // The window of a later stream without readers is over before.
    await chat(gateway.url, { model: 'scripted' }, { headers: { prefer: 'respond-async' } })
    await (
      await provider.nextRun()
    ).aborted
    expect([run.signal.aborted, opened!.log.readerCount.total]).toEqual([false, 1])
    goOn()
    const reader = await answer
    run.text('a')
    run.done()
    await reader.end()
    expect([reader.text, reader.dones[0]?.finish_reason]).toEqual(['a', 'stop'])
  })

  it('is cancelled once its reader has left, also before it had read anything', async () => {
    const { gateway, provider } = await setUp(NO_WINDOW)
    const { url, goOn } = await slowHandler(gateway, () => {})
    const reader = chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    goOn()
    ;(await reader).cut()
    await run.aborted
  })

  it('is cancelled when no reader is to come', async () => {
    const { gateway, provider } = await setUp(NO_WINDOW)
    const created = await chat(gateway.url, { model: 'scripted' }, { headers: { prefer: 'respond-async' } })
    expect(created.status).toBe(202)
    await (
      await provider.nextRun()
    ).aborted
  })
})

describe('a stream whose creation waits while the gateway begins to drain', () => {
  it('is not started, ends with gateway_shutdown, and its caller is told so', async () => {
    const { directory, provider, gateway } = await setUp({ drainMs: 60_000 })
    let created = () => {}
    const creating = new Promise<void>((resolve) => (created = resolve))
    let answer = () => {}
    const answered = new Promise<void>((resolve) => (answer = resolve))
    directory.onCall = (method) => {
      if (method !== 'create') return
      created()
      return answered
    }
    const refused = chat(gateway.url, { model: 'scripted' })
    await creating
    const drained = gateway.drain()
    await expect.poll(() => gateway.logs.map(({ msg }) => msg)).toContain('draining')
    answer()
    const reader = await (await refused).end()
    expect(reader.status).toBe(503)
    expect(reader.json).toMatchObject({ code: 'gateway_shutdown', retryable: true })
    await drained
    expect([provider.runs.length, gateway.services.generations.size]).toEqual([0, 0])
    expect(directory.ends).toMatchObject([{ finish_reason: 'error', error: { code: 'gateway_shutdown' } }])
  })
})

describe('a directory that cannot be reached', () => {
  const unavailable = { code: 'store_unavailable', retryable: true, status: 503 }

  it('is told to who looks for a stream of another node, never that there is none', async () => {
    const { directory, gateway } = await setUp()
    const { id } = await (await chat(gateway.url, MOCK)).end()
    directory.onCall = () => Promise.reject(new Error('connect ECONNREFUSED'))
    for (const method of ['GET', 'DELETE']) {
      const reader = await (await open(`${gateway.url}/v1/streams/str_elsewhere`, { method })).end()
      expect([reader.status, reader.headers['retry-after']]).toEqual([503, '5'])
      expect(reader.json).toMatchObject(unavailable)
      expect(reader.body).not.toContain('ECONNREFUSED')
    }
    expect((await (await resume(gateway.url, id)).end()).text).toBe('one two three')
  })

  it('is told to who creates a stream, which leaves nothing behind', async () => {
    const { directory, provider, gateway } = await setUp()
    directory.onCall = () => Promise.reject(new Error('connect ECONNREFUSED'))
    const refused = await (await chat(gateway.url, { model: 'scripted' })).end()
    expect(refused.json).toMatchObject(unavailable)
    const body = { model: 'scripted', messages: [{ role: 'user', content: 'hi' }] }
    const openai = await (await open(`${gateway.url}/v1/chat/completions`, { method: 'POST', body })).end()
    expect([openai.status, openai.json]).toMatchObject([503, { error: { code: 'store_unavailable' } }])
    expect([provider.runs.length, gateway.services.store.bytes]).toEqual([0, 0])
  })
})

/** Answers as the gateway does, but waits between the start of the stream and its first subscription. */
async function slowHandler({ services }: TestGateway, onOpen: (opened: OpenedStream) => void) {
  let goOn = () => {}
  const waiting = new Promise<void>((resolve) => (goOn = resolve))
  const app = new Koa<RequestState>()
  app.use(async (context: RequestContext) => {
    context.request.rawBody = ''
    context.request.body = { model: 'scripted', messages: [{ role: 'user', content: 'hi' }] }
    Object.assign(context.state, {
      caller: toCaller(ANONYMOUS),
      client: '',
      trace: continueTrace({}),
      protocol: native,
    })
    const opened = await openStream(context, services, native)
    onOpen(opened)
    await waiting
    sendStream(context, services, opened.log, { seq: 0 }, native)
    opened.leave()
  })
  const answer = app.callback()
  const server = createServer((request, response) => void answer(request, response)).listen(0)
  onTestFinished(() => void server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, goOn }
}
