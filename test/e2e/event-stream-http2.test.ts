import { once } from 'node:events'
import { constants } from 'node:http2'
import { expect, it } from 'vitest'
import { serveHttp2, type AppOptions, type Source } from '../support/http2-app.ts'
import { Http2Connection } from '../support/http2-client.ts'

async function setUp(sources: Record<string, Source>, options: AppOptions = {}) {
  const { url, ...app } = await serveHttp2(sources, options)
  return { ...app, connection: await Http2Connection.open(url) }
}

const KILOBYTE = 'x'.repeat(1024)
const failure = new Error('The source broke.')

/** More than windows hold, so that a part of it has to wait. */
async function* breaks() {
  for (let count = 0; count < 500; count++) yield { data: KILOBYTE }
  throw failure
}

/** Waits for ever after its first event. */
async function* lasts(signal: AbortSignal) {
  yield { data: 'first' }
  await new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}

it('ends as it should, with all that was yielded', async () => {
  const { connection, ends } = await setUp({
    short: async function* short() {
      yield { event: 'named', id: 1, data: { a: 1 } }
    },
  })
  const reader = await (await connection.request('/short')).end()
  expect(reader.messages).toStrictEqual([{ event: 'named', id: '1', data: '{"a":1}' }])
  expect(reader.retries).toHaveLength(1)
  expect(reader.complete).toBe(true)
  expect(ends.entries).toStrictEqual(['finished'])
})

it('answers HEAD with headers alone', async () => {
  const { connection, ends, heartbeat } = await setUp({ breaks })
  const reader = await (await connection.request('/breaks', { method: 'HEAD' })).end()
  expect(reader.headers['content-type']).toBe('text/event-stream; charset=utf-8')
  expect([reader.body, reader.complete]).toStrictEqual(['', true])
  await ends.until((all) => all.length === 1)
  expect(ends.entries).toStrictEqual(['finished'])
  expect(heartbeat.size).toBe(0)
})

it.each([false, true])(
  'resets the stream of a source that throws after all it had yielded, and no other (reader paused: %s)',
  async (paused) => {
    const { connection, ends, heartbeat } = await setUp({ breaks, lasts })
    const other = await connection.request('/lasts')
    const reader = await connection.request('/breaks', { paused })
    if (paused) setImmediate(() => reader.resume())
    await reader.end()
    expect(reader.messages.map(({ data }) => data)).toStrictEqual(Array.from({ length: 500 }, () => KILOBYTE))
    expect(reader.complete).toBe(false)
    await ends.until((all) => all.length === 1)
    expect(ends.entries).toStrictEqual([{ thrown: failure }])
    await other.until(({ messages }) => messages.length === 1)
    await expect.poll(() => heartbeat.size).toBe(1)
    expect(other.closed).toBe(false)
  },
)

it('resets the stream of a reader that does not read, also while it waits to be cut', async () => {
  const { connection, ends, heartbeat } = await setUp(
    {
      breaks,
      async *plenty() {
        for (let count = 0; count < 65_536; count++) yield { data: KILOBYTE }
      },
      async *late() {
        for (let count = 0; count < 70; count++) yield { data: KILOBYTE }
        throw failure
      },
    },
    { slowReaderMs: 50 },
  )
  const all = await Promise.all(['/plenty', '/late'].map((path) => connection.request(path, { paused: true })))
  await ends.until((entries) => entries.length === 2)
  expect(ends.entries).toContain('stalled')
  await expect.poll(() => heartbeat.size).toBe(0)
  for (const reader of all) {
    reader.resume()
    await reader.end()
    expect(reader.complete).toBe(false)
  }
})

it('tells the source that its reader has left', async () => {
  const { connection, ends, heartbeat } = await setUp({ lasts })
  const reader = await connection.request('/lasts')
  await reader.until(({ messages }) => messages.length === 1)
  reader.cut()
  await ends.until((all) => all.length === 1)
  expect(ends.entries).toStrictEqual(['disconnected'])
  expect(heartbeat.size).toBe(0)
})

it('notices a reader that has left before the stream began', async () => {
  let arrive = () => {}
  const arrived = new Promise<void>((resolve) => (arrive = resolve))
  const before: AppOptions['before'] = ({ res }) => {
    arrive()
    return once(res, 'close')
  }
  const { connection, ends, heartbeat } = await setUp({ lasts }, { before })
  const stream = connection.session.request({ ':path': '/lasts' })
  await arrived
  stream.close(constants.NGHTTP2_CANCEL)
  await ends.until((all) => all.length === 1)
  expect(ends.entries).toStrictEqual(['disconnected'])
  expect(heartbeat.size).toBe(0)
})
