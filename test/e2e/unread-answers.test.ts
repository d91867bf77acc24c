import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { Http2Connection } from '../support/http2-client.ts'
import { chat, open } from '../support/reader.ts'
import { TLS } from '../support/tls.ts'

const MB = 1024 * 1024
const TEXT = 'x'.repeat(4 * MB)
const long = { mock: { text: TEXT, interval_ms: 0 } }

async function finishedStream({ url, services }: TestGateway): Promise<string> {
  const created = await chat(url, long, { headers: { prefer: 'respond-async' } })
  await created.end()
  await services.generations.idle()
  return created.id
}

/** The next time that the gateway looks for callers who do not read. */
function nextBeat({ services: { heartbeat } }: TestGateway): Promise<void> {
  return new Promise((resolve) => {
    const watcher = {
      beat() {
        heartbeat.leave(watcher)
        resolve()
      },
    }
    heartbeat.join(watcher)
  })
}

const unread = (gateway: TestGateway) => gateway.metric('sluice_memory_bytes{kind="responses"}')

it('cuts off a caller who does not read a JSON answer, and releases its memory', async () => {
  const gateway = await startGateway({ slowReaderMs: 200 })
  const id = await finishedStream(gateway)
  const { hostname, port } = new URL(gateway.url)
  const socket = connect({ host: hostname, port: Number(port) }).pause()
  onTestFinished(() => void socket.destroy())
  socket
    .on('error', () => {})
    .write(`GET /v1/streams/${id} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n`)
  await expect.poll(() => unread(gateway)).toBeGreaterThan(4 * MB)
  await expect.poll(() => unread(gateway)).toBe(0)
  socket.resume()
  await once(socket, 'close')
  expect(socket.bytesRead).toBeLessThan(4 * MB)
})

it('cuts off an unread JSON answer over HTTP/2 and keeps the other streams', async () => {
  const gateway = await startGateway({ slowReaderMs: 200, ...TLS })
  const id = await finishedStream(gateway)
  const connection = await Http2Connection.open(gateway.url)
  const headers = { accept: 'application/json' }
  const stalled = await connection.request(`/v1/streams/${id}`, { headers, paused: true })
  await expect.poll(() => unread(gateway)).toBeGreaterThan(4 * MB)
  await expect.poll(() => unread(gateway)).toBe(0)
  stalled.resume()
  await stalled.end()
  expect(stalled.complete).toBe(false)
  const whole = await (await connection.request(`/v1/streams/${id}`, { headers })).end()
  expect(whole.json).toMatchObject({ message: { content: TEXT } })
})

it('waits for a slow caller', async () => {
  const gateway = await startGateway({ slowReaderMs: 1000 })
  const id = await finishedStream(gateway)
  const reader = await open(`${gateway.url}/v1/streams/${id}`, { headers: { accept: 'application/json' } })
  for (let seen = 0; !reader.closed && reader.body.length < TEXT.length; seen = reader.body.length) {
    await reader.until(({ body, closed }) => body.length > seen || closed)
    reader.pause()
    await nextBeat(gateway)
    reader.resume()
  }
  await reader.end()
  expect(reader.complete).toBe(true)
  expect(reader.json).toMatchObject({ message: { content: TEXT } })
})

it('sends whole answers of any size with length and type', async () => {
  const { url } = await startGateway()
  for (const [text, method] of [
    ['a', 'POST'],
    [TEXT, 'POST'],
  ] as const) {
    const fields = { model: 'mock', messages: [{ role: 'user', content: 'hi' }], mock: { text, interval_ms: 0 } }
    const answer = await (await open(`${url}/v1/chat/completions`, { method, body: fields })).end()
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(answer.body)))
    expect(answer.json).toMatchObject({ choices: [{ message: { content: text } }] })
  }
})
