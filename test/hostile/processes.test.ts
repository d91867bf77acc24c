// Signals, limits and settings at their worst: the process ends when it is told to, and not before.

import { once } from 'node:events'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { ask, dial, startTarget, type Target } from './target.ts'

const say = { messages: [{ role: 'user', content: 'hi' }] }
const post = (body: object, lines = '') => {
  const text = JSON.stringify(body)
  return `POST /v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n${lines}\r\n${text}`
}

/** Sockets of each kind that would keep a careless process alive. */
const HELD: Record<string, [bytes: string, read?: boolean]> = {
  'half a head': ['POST /v1/chat HTTP/1.1\r\nhost: '],
  'half a body': [post(say).slice(0, -10)],
  'a running stream': [post({ ...say, mock: { tokens: 2, interval_ms: 0, stall_at: 1 } })],
  'a large stream that is not read': [post({ ...say, mock: { text: 'x'.repeat(2_000_000), interval_ms: 0 } }), false],
  'a whole answer that is not read': [
    post({ ...say, mock: { text: 'x'.repeat(2_000_000), interval_ms: 0 } }, 'accept: application/json\r\n'),
    false,
  ],
  'pipelined requests': [post({ ...say, mock: { tokens: 2, stall_at: 1 } }).repeat(20), false],
  nothing: [''],
}

describe('SIGTERM', () => {
  it('ends the process with 0 amid hostile sockets of every kind', async () => {
    const target = await startTarget({ DRAIN_MS: '500', SLOW_READER_MS: '1000' })
    for (let i = 0; i < 70; i++) {
      const [bytes, read = true] = Object.values(HELD)[i % 7] ?? ['']
      await dial(target, bytes, { read })
    }
    target.kill('SIGTERM')
    expect(await target.exited).toBe('0')
  })

  it('amid a flood of new streams leaves none without its done', async () => {
    const target = await startTarget({ DRAIN_MS: '200' })
    const answers: (string | undefined)[] = []
    const flood = async () => {
      for (let i = 0; target.ended === undefined && i < 3000; i++) {
        const body = { ...say, mock: { tokens: 3, interval_ms: 5 } }
        const answer = await ask(target, '/v1/chat', { body }).catch(() => undefined)
        answers.push(answer?.status === 200 ? answer.body : undefined)
        if (answers.length === 40) target.kill('SIGTERM')
      }
    }
    await Promise.all(Array.from({ length: 8 }, flood))
    expect(await target.exited).toBe('0')
    const begun = answers.filter((body) => body !== undefined)
    expect(begun.length).toBeGreaterThan(30)
    for (const body of begun) expect(body.match(/^event: done$/gm)).toHaveLength(1)
  })
})

/** Starts the gateway with this many file descriptors at most. */
async function startWithFiles(files: number): Promise<Target> {
  return startTarget({}, { limits: `ulimit -n ${files}` })
}

describe('a process without a free file descriptor', () => {
  it('serves again as soon as there is one', async () => {
    const target = await startWithFiles(256)
    for (let round = 0; round < 2; round++) {
      const sockets = await Promise.all(Array.from({ length: 400 }, () => dial(target, '')))
      for (const socket of sockets) socket.destroy()
      // A connection of the flood may still be in the backlog, and be closed in place of this one.
      const status = () =>
        ask(target, '/healthz').then(
          (answer) => answer.status,
          () => undefined,
        )
      await expect.poll(status).toBe(200)
    }
    target.kill('SIGTERM')
    expect(await target.exited).toBe('0')
  })

  it('names what failed: an upstream that cannot be reached', async () => {
    const target = await startTarget(
      { OPENAI_API_KEY: 'x', OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' },
      { limits: 'ulimit -n 256' },
    )
    const answers = await Promise.all(
      Array.from({ length: 180 }, () => ask(target, '/v1/chat', { body: { ...say, model: 'openai/m' } })),
    )
    for (const { body } of answers) expect(body).toMatch(/event: done\ndata: .*"upstream_un(reachable|available)"/)
  })
})

describe('settings at their ends', () => {
  it.each<[Record<string, string>, RegExp]>([
    [{ STORE_MAX_BYTES: '1' }, /store_full/],
    [{ STORE_MAX_BYTES: '2000' }, /store_full/],
    [{ STREAM_MAX_BYTES: '1' }, /stream_too_large/],
    [{ STREAM_MAX_BYTES: '1200' }, /stream_too_large|"finish_reason":"stop"/],
    [{ RETENTION_MS: '0', RESUME_WINDOW_MS: '0' }, /"finish_reason":"stop"/],
    [{ BODY_LIMIT: '1' }, /body_too_large/],
    [{ SLOW_READER_MS: '1', HEARTBEAT_MS: '1' }, /"finish_reason":"stop"/],
  ])('%o: each request ends, with a name', async (env, told) => {
    const target = await startTarget(env)
    const answer = await ask(target, '/v1/chat', { body: { ...say, mock: { tokens: 50, interval_ms: 0 } } })
    expect(answer.body).toMatch(told)
    target.kill('SIGTERM')
    expect(await target.exited).toBe('0')
  })
})

it('half-open connections beyond number are closed by Node, and the rest is served', async () => {
  const target = await startTarget()
  const before = target.rss()
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => dial(target, 'GET / HTTP/1.1\r\nx: ')))
  expect((await ask(target, '/healthz')).status).toBe(200)
  expect(target.peak() - before).toBeLessThan(80)
  for (const socket of sockets) socket.destroy()
  await Promise.all(sockets.map(async (socket) => socket.closed || once(socket, 'close')))
  await expect.poll(async () => (await target.sample()).resources.TCPSocketWrap ?? 0).toBe(0)
})

it('a clock that is set back by a day keeps no stream', async () => {
  const gateway = await startGateway({ retentionMs: 20, resumeWindowMs: 20 })
  const port = Number(new URL(gateway.url).port)
  const create = () => ask({ port }, '/v1/chat', { body: { ...say, mock: { text: 'a', interval_ms: 0 } } })
  const early = await create()
  const { now } = Date
  vi.spyOn(Date, 'now').mockImplementation(() => now() - 86_400_000)
  onTestFinished(() => void vi.restoreAllMocks())
  for (const { headers } of [early, await create()])
    await expect
      .poll(async () => (await ask({ port }, `/v1/streams/${String(headers['sluice-stream-id'])}`)).status)
      .toBe(410)
})
