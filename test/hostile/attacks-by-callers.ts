import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import type { Attack, Scale } from './attack.ts'
import { ask, dial, type Target } from './target.ts'

const MB = 1024 * 1024

/** The target's default `STORE_MAX_BYTES`, doubled for garbage. */
const BUDGET_MB = 2 * 256

const say = { messages: [{ role: 'user', content: 'hi' }] }
const post = (length: number, more = '') =>
  `POST /v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n${more}\r\n`

const fill = (unit: string, bytes: number) => unit.repeat(Math.floor(bytes / unit.length))

/** Bodies that are expensive to parse or validate. */
const BODIES: Record<string, (bytes: number) => string> = {
  'elements of a wrong type': (bytes) => `{"messages":[${fill('0,', bytes)}0]}`,
  'empty messages': (bytes) => `{"messages":[${fill('{},', bytes)}{}]}`,
  'wrong values of logit_bias': (bytes) => `{"messages":[],"logit_bias":{${fill('"a":"b",', bytes)}"z":1}}`,
  'nested arrays': (bytes) => fill('[', bytes),
  'nested objects': (bytes) => fill('{"a":', bytes),
  'empty arrays in an unknown field': (bytes) => `{"messages":[],"x":[${fill('[],', bytes)}1]}`,
  'unknown names': (bytes) => {
    let names = ''
    for (let i = 0; names.length < bytes; i++) names += `"k${i}":1,`
    return `{${names}"messages":[]}`
  },
  'one long name': (bytes) => `{"messages":[],"${fill('k', bytes)}":1}`,
  'a long model': (bytes) => `{"messages":[],"model":"${fill('m', bytes)}"}`,
  'parts of a wrong type': (bytes) => `{"messages":[{"role":"user","content":[${fill('{"type":"text"},', bytes)}1]}]}`,
  'quotes and backslashes': (bytes) => `{"messages":"${fill('\\"\\\\', bytes)}"}`,
}

async function refuse(target: Target, body: string | Buffer, headers: Record<string, string> = {}): Promise<void> {
  for (const path of ['/v1/chat', '/v1/chat/completions', '/v1/messages']) {
    const answer = await ask(target, path, { body, headers })
    expect([400, 413]).toContain(answer.status)
    expect(answer.body.length).toBeLessThan(20_000)
  }
}

const bodies = Object.entries(BODIES).flatMap(([name, make]): Attack[] => [
  {
    name: `a body of ${name}`,
    memory: 220,
    run: (target, scale) => refuse(target, make(scale === 'full' ? 9 * MB : 3 * MB)),
  },
  {
    name: `a compressed body of ${name}`,
    only: name === 'elements of a wrong type' ? undefined : 'full',
    memory: 220,
    run: (target, scale) =>
      refuse(target, gzipSync(make(scale === 'full' ? 64 * MB : 9 * MB)), { 'content-encoding': 'gzip' }),
  },
])

async function finishedStream(target: Target, text: string, path = '/v1/chat'): Promise<string> {
  const prompt = path === '/v1/responses' ? { input: 'hi' } : say
  const body = { ...prompt, model: 'mock', mock: { text, interval_ms: 0 } }
  const answer = await ask(target, path, { body, headers: { accept: 'application/json' } })
  return String(answer.headers['sluice-stream-id'])
}

/** Sends the same bytes on many connections, on each until the gateway takes no more. */
async function holdBodies(target: Target, bytes: Buffer, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const socket = await dial(target, bytes)
    await Promise.race([once(socket, 'drain'), once(socket, 'close'), sleep(200)]).catch(() => {})
  }
  await sleep(1000)
}

const many = (scale: Scale, quick: number, full: number) => (scale === 'full' ? full : quick)

/** Sends requests on four reused connections, and ignores the answers. */
async function floodRequests(target: Target, count: number, make: (i: number) => string): Promise<void> {
  await Promise.all(
    [0, 1, 2, 3].map(async (worker) => {
      for (let i = worker; i < count;) {
        let batch = ''
        for (let n = 0; n < 40 && i < count; n++, i += 4) batch += make(i)
        const socket = await dial(target, batch)
        socket.end()
        await once(socket, 'close').catch(() => {})
      }
    }),
  )
}

export const ATTACKS_BY_CALLERS: Attack[] = [
  ...bodies,
  {
    name: 'bodies of ten megabytes that never end',
    memory: BUDGET_MB,
    async run(target, scale) {
      const part = Buffer.from(post(10 * MB - 1) + `{"messages":"${'x'.repeat(10 * MB - 100)}`)
      await holdBodies(target, part, many(scale, 30, 80))
    },
  },
  {
    name: 'chunked bodies that never end',
    memory: BUDGET_MB,
    async run(target, scale) {
      const head = post(0).replace('content-length: 0', 'transfer-encoding: chunked')
      const part = Buffer.from(`${head}900000\r\n${'x'.repeat(9 * MB)}`)
      await holdBodies(target, part, many(scale, 30, 80))
    },
  },
  {
    name: 'large prompts whose answers never begin',
    spoils: true,
    memory: BUDGET_MB,
    async run(target, scale) {
      const content = 'é'.repeat(4 * MB)
      const body = JSON.stringify({ messages: [{ role: 'user', content }], mock: { first_token_ms: 3_600_000 } })
      const headers = { prefer: 'respond-async' }
      const statuses = []
      for (let i = 0; i < many(scale, 40, 100); i++)
        statuses.push(
          await ask(target, '/v1/chat', { body, headers }).then(
            ({ status }) => status,
            () => 0,
          ),
        )
      expect(statuses).toContain(202)
      expect(statuses).toContain(503)
    },
  },
  {
    name: 'streams that are created and left',
    spoils: true,
    memory: BUDGET_MB,
    run(target, scale) {
      const body = JSON.stringify({
        messages: [{ role: 'user', content: 'q'.repeat(20_000) }],
        mock: { first_token_ms: 3_600_000 },
      })
      return floodRequests(
        target,
        many(scale, 8000, 40_000),
        () => post(body.length, 'prefer: respond-async\r\n') + body,
      )
    },
  },
  {
    name: 'small streams, each with a key',
    spoils: true,
    // A full collection of a heap that is full of small objects.
    longestTurn: 0.25,
    memory: BUDGET_MB,
    run(target, scale) {
      const body = JSON.stringify({ ...say, mock: { tokens: 0, interval_ms: 0 } })
      return floodRequests(target, many(scale, 2000, 100_000), (i) => {
        const key = String(i).padStart(255, 'k')
        return `${post(body.length, `prefer: respond-async\r\nidempotency-key: ${key}\r\n`)}${body}`
      })
    },
  },
  {
    name: 'running streams that fill the store',
    spoils: true,
    memory: BUDGET_MB,
    async run(target, scale) {
      const body = { ...say, mock: { tokens: 10_000_000, interval_ms: 0, first_token_ms: 0, stall_at: 840_000 } }
      const raw = JSON.stringify(body)
      for (let i = 0; i < many(scale, 12, 40); i++) await dial(target, post(raw.length) + raw)
      await sleep(many(scale, 4000, 20_000))
    },
  },
  {
    name: 'whole answers that nobody reads',
    env: { SLOW_READER_MS: '1000' },
    memory: BUDGET_MB,
    async run(target, scale) {
      const id = await finishedStream(target, 'x'.repeat(4 * MB))
      const request = `GET /v1/streams/${id} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n`
      for (let i = 0; i < many(scale, 40, 150); i++) await dial(target, request, { read: false })
      await sleep(3000)
    },
  },
  {
    name: 'joined answers that nobody reads',
    env: { SLOW_READER_MS: '1000' },
    memory: BUDGET_MB,
    async run(target, scale) {
      const body = JSON.stringify({ ...say, mock: { text: 'x'.repeat(4 * MB), interval_ms: 0 } })
      const headers = 'idempotency-key: k\r\naccept: application/json\r\n'
      for (let i = 0; i < many(scale, 40, 120); i++)
        await dial(target, post(Buffer.byteLength(body), headers) + body, { read: false })
      await sleep(3000)
    },
  },
  {
    name: 'readers of one stream that nobody feeds',
    spoils: true,
    memory: BUDGET_MB,
    async run(target, scale) {
      const body = { ...say, mock: { tokens: 2, interval_ms: 0, stall_at: 1 } }
      const created = await ask(target, '/v1/chat', { body, headers: { prefer: 'respond-async' } })
      const request = `GET ${JSON.parse(created.body).url} HTTP/1.1\r\nhost: localhost\r\n\r\n`
      for (let i = 0; i < many(scale, 500, 3000); i++) await dial(target, request)
    },
  },
  {
    name: 'metrics that nobody reads, pipelined',
    env: { SLOW_READER_MS: '1000' },
    memory: 200,
    async run(target, scale) {
      const request = 'GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(200)
      for (let i = 0; i < many(scale, 10, 50); i++) await dial(target, request, { read: false })
      await sleep(3000)
    },
  },
  lateReaders('late readers of one large stream', ['native', 'openai-chat', 'anthropic-messages']),
  // Its last events repeat the whole answer, which is encoded in one turn, once for all of them.
  { ...lateReaders('late readers of one large response', ['openai-responses']), memory: 300, longestTurn: 0.5 },
  {
    name: 'references to one large item, repeated',
    memory: BUDGET_MB,
    async run(target) {
      const id = await finishedStream(target, 'x'.repeat(4 * MB), '/v1/responses')
      const input = Array.from({ length: 30_000 }, () => ({ id: `msg_${id.slice('str_'.length)}_0` }))
      const answer = await ask(target, '/v1/responses', { body: { model: 'mock', input } })
      expect(answer).toMatchObject({ status: 400, body: expect.stringContaining('input[1].id') })
    },
  },
  {
    name: 'stalled readers of one large response',
    memory: BUDGET_MB,
    async run(target, scale) {
      const id = await finishedStream(target, 'abc defg '.repeat(400_000), '/v1/responses')
      const path = `/v1/responses/resp_${id.slice('str_'.length)}?stream=true`
      const { body } = await ask(target, path)
      const numbers = [...body.matchAll(/^id: (\d+)$/gm)].slice(-many(scale, 80, 200), -1)
      expect(numbers.length).toBeGreaterThan(70)
      for (const [, number] of numbers) {
        const request = `GET ${path}&starting_after=${number} HTTP/1.1\r\nhost: localhost\r\n\r\n`
        await dial(target, request, { read: false })
      }
      await sleep(3000)
    },
  },
  {
    name: 'two hundred mocks at full speed',
    spoils: true,
    memory: BUDGET_MB,
    async run(target, scale) {
      const raw = JSON.stringify({ ...say, mock: { tokens: 10_000_000, interval_ms: 0, first_token_ms: 0 } })
      const sockets = []
      for (let i = 0; i < many(scale, 50, 200); i++) sockets.push(await dial(target, post(raw.length) + raw))
      await sleep(3000)
      for (const socket of sockets) socket.destroy()
    },
  },
]

function lateReaders(name: string, protocols: readonly string[]): Attack {
  return {
    name,
    memory: 250,
    async run(target, scale) {
      const id = await finishedStream(target, 'abc defg '.repeat(400_000))
      for (const protocol of protocols) {
        const request = `GET /v1/streams/${id}?protocol=${protocol} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`
        const sockets = await Promise.all(Array.from({ length: many(scale, 20, 100) }, () => dial(target, request)))
        await Promise.all(sockets.map((socket) => once(socket, 'close').catch(() => {})))
      }
    },
  }
}
