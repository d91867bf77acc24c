import { EventSource } from 'eventsource'
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import Koa from 'koa'
import { describe, expect, it, onTestFinished } from 'vitest'
import { eventStream, type Source } from '../../src/sse/index.ts'
import { Journal } from '../support/cutting-proxy.ts'
import { open } from '../support/reader.ts'

/** A plain Koa app that answers everything with this event stream. */
async function serve(source: Source) {
  const requests = new Journal<string>()
  const app = new Koa()
  app.use(async (ctx) => {
    requests.add(ctx.get('Last-Event-ID'))
    await eventStream(ctx, source, { retry: 1 })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/`, port, requests }
}

/** Counts on from what its reader has seen, up to three. */
async function* count(_: AbortSignal, lastEventId: string) {
  const from = Number(lastEventId) + 1
  for (let id = from; id < 3; id++) yield { id, data: id }
  yield { id: 3, event: 'end', last: true }
}

describe('eventStream and a reader that comes back', () => {
  it.each<[string, Record<string, string>, string]>([
    ['', {}, '1,2,'],
    ['', { 'last-event-id': '1' }, '2,'],
    ['?lastEventId=1', {}, '2,'],
    ['?last_event_id=1', { 'last-event-id': '' }, '2,'],
    ['?last_event_id=1', { 'last-event-id': '2' }, ''],
  ])('tells the source what it has seen: %j %o', async (query, headers, expected) => {
    const { url } = await serve(count)
    const { messages } = await (await open(url + query, { headers })).end()
    expect(messages.map(({ data }) => data).join()).toBe(expected)
  })

  it('delivers an event with a name and no data', async () => {
    const { url } = await serve(count)
    const { messages } = await (await open(url)).end()
    expect(messages.at(-1)).toEqual({ event: 'end', data: '', id: '3#last' })
  })

  it('is answered with 204 after the last event, and does not start the source', async () => {
    let started = 0
    const { url } = await serve((signal, lastEventId) => {
      started += 1
      return count(signal, lastEventId)
    })
    const first = await (await open(url)).end()
    expect(first.complete).toBe(true)
    const [last] = first.messages.slice(-1)
    const again = await (await open(url, { headers: { 'last-event-id': String(last?.id) } })).end()
    expect([again.status, again.body, again.headers['cache-control']]).toEqual([204, '', 'no-store'])
    expect(started).toBe(1)
  })

  it('leaves an EventSource closed for good', async () => {
    const { url, requests } = await serve(count)
    const source = new EventSource(url)
    onTestFinished(() => source.close())
    const seen: string[] = []
    source.addEventListener('message', ({ data }) => seen.push(String(data)))
    source.addEventListener('end', () => seen.push('end'))
    await new Promise<void>((resolve) => {
      source.addEventListener('error', () => source.readyState === source.CLOSED && resolve())
    })
    expect(seen).toEqual(['1', '2', 'end'])
    expect(requests.entries).toEqual(['', '3#last'])
  })

  it('ends a source that would go on after its last event', async () => {
    let returned = false
    const { url } = await serve(async function* endless() {
      try {
        for (;;) yield { data: 'x', last: true }
      } finally {
        returned = true
      }
    })
    expect((await (await open(url)).end()).messages).toHaveLength(1)
    await expect.poll(() => returned).toBe(true)
  })
})

it('eventStream causes no warning of a leak when many streams share a connection (pipelining)', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error) => void warnings.push(warning)
  process.on('warning', onWarning)
  onTestFinished(() => void process.off('warning', onWarning))
  const { port } = await serve(count)
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  const times = 30
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(times))
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await expect.poll(() => text.split('3#last').length - 1).toBe(times)
  expect(warnings).toEqual([])
})
