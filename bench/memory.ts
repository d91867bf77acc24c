/**
 * Compares the memory that the gateway counts with the memory of its process: `npx tsx bench/memory.ts`, after a build.
 * For each kind of load: growth of `sluice_memory_bytes`, of RSS and of the heap, after garbage collection.
 */
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DIST } from './peers/sluice.ts'
import { freePort, GATEWAY_CORE, PinnedProcess, temporaryFolder, untilListening } from './processes.ts'
import { requestText } from './request.ts'

const MB = 1024 * 1024
const NEVER_MS = String(2 ** 31 - 1)

/** Collects garbage on SIGUSR2, so that only live memory is measured. */
const COLLECT = 'data:text/javascript,process.on("SIGUSR2",()=>{gc();gc()})'

const say = (content: string) => [{ role: 'user', content }]
/** Distinct texts: V8 may share equal strings. */
const text = (bytes: number, salt: number) => `${salt} `.padEnd(bytes, 'abcdefghijklmnopqrstuvwxyz ')

interface Gateway {
  port: number
  process: PinnedProcess
  sockets: Socket[]
}

/** Sends bytes on a connection that stays open, and reads until `answer` has come; reads nothing if it is empty. */
async function send(
  { port, sockets }: Gateway,
  bytes: string,
  answer = '',
): Promise<{ socket: Socket; heard: string }> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  sockets.push(socket)
  await once(socket, 'connect')
  socket.setNoDelay(true)
  let heard = ''
  if (answer === '') socket.pause()
  await new Promise((resolve) => socket.write(bytes, resolve))
  if (answer === '') return { socket, heard }
  await new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      heard = (heard + chunk.toString('latin1')).slice(-2000)
      if (heard.includes(answer)) resolve()
      else if (/^HTTP\/1\.1 [45]/.test(heard)) reject(new Error(heard))
    })
    socket.on('close', () => reject(new Error(`closed after: ${heard}`)))
  })
  return { socket, heard }
}

const chat = (gateway: Gateway, body: object, headers = {}) =>
  requestText({ port: gateway.port, path: '/v1/chat', body: { messages: say('hi'), ...body }, headers })

const respondAsync = { prefer: 'respond-async' }

/** Creates a stream and closes its connection. */
async function create(gateway: Gateway, body: object, headers = {}): Promise<void> {
  const { socket } = await send(gateway, chat(gateway, body, { ...respondAsync, ...headers }), 'HTTP/1.1 202')
  gateway.sockets.splice(gateway.sockets.indexOf(socket), 1)
  socket.destroy()
}

async function many(count: number, each: (index: number) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < count; at += 20)
    await Promise.all(Array.from({ length: Math.min(20, count - at) }, (_, i) => each(at + i)))
}

const waiting = { mock: { first_token_ms: 3_600_000 } }
const silent = { mock: { text: 'a b', interval_ms: 0, stall_at: 1 } }
const quick = (content: string) => ({ mock: { text: content, interval_ms: 0 } })

type Load = (gateway: Gateway, factor: number) => Promise<void>

const LOADS: Record<string, Load> = {
  'streams that wait, nobody reads': (g, n) => many(8000 * n, () => create(g, waiting)),
  'streams with a reader': (g, n) => many(3000 * n, () => send(g, chat(g, silent), 'event: delta')),
  'relayed streams with a reader': (g, n) =>
    many(2000 * n, () => send(g, chat(g, { model: 'openai/m' }), 'event: delta')),
  'readers of one stream': async (g, n) => {
    const id = idIn((await send(g, chat(g, silent, respondAsync), '"url"')).heard)
    await many(4000 * n, () =>
      send(g, requestText({ port: g.port, method: 'GET', path: `/v1/streams/${id}` }), 'event: delta'),
    )
  },
  'prompts of 1 MB, waiting': (g, n) => many(120 * n, (i) => create(g, { messages: say(text(MB, i)), ...waiting })),
  'prompts of many small values': (g, n) =>
    many(24 * n, () => create(g, { ...waiting, x: Array.from({ length: 49_000 }, () => []) })),
  'bodies on their way': (g, n) =>
    many(24 * n, async (i) => {
      const request = chat(g, { messages: say(text(5 * MB, i)) })
      await send(g, request.slice(0, -1))
    }),
  'finished streams of 400 KB': (g, n) => many(200 * n, (i) => create(g, quick(text(400_000, i)))),
  'running streams of 2 MB': (g, n) =>
    many(40 * n, (seed) => create(g, { mock: { seed, tokens: 350_000, interval_ms: 0, stall_at: 349_000 } })),
  'small finished streams with keys': (g, n) =>
    many(60_000 * n, (i) => create(g, quick('a'), { 'idempotency-key': String(i).padStart(64, 'k') })),
  'answers that nobody reads': async (g, n) => {
    const id = idIn((await send(g, chat(g, quick(text(4 * MB, 0)), respondAsync), '"url"')).heard)
    const headers = { accept: 'application/json' }
    await sleep(3000)
    const read = requestText({ port: g.port, method: 'GET', path: `/v1/streams/${id}`, headers })
    for (let i = 0; i < 30 * n; i++) await send(g, read)
    await sleep(2000)
  },
}

function idIn(answer: string): string {
  const [id] = /str_\w+/.exec(answer) ?? []
  if (id === undefined) throw new Error(`No stream is named in: ${answer}`)
  return id
}

async function counted({ port }: Gateway): Promise<{ counted: number; heap: number }> {
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const sum = (name: RegExp) => [...metrics.matchAll(name)].reduce((total, [, value]) => total + Number(value), 0)
  return {
    counted: sum(/^sluice_memory_bytes\{.*\} (.*)$/gm),
    heap: sum(/^nodejs_(?:heap_size_used|external_memory)_bytes (.*)$/gm),
  }
}

/** Measures after the counted memory is stable and garbage is collected. */
async function settled(gateway: Gateway) {
  for (let before = -1, now = 0; now !== before; now = (await counted(gateway)).counted) {
    before = now
    await sleep(2000)
  }
  gateway.process.child.kill('SIGUSR2')
  await sleep(1500)
  return { ...(await counted(gateway)), rss: gateway.process.rssBytes() }
}

async function measure(load: Load): Promise<[counted: number, rss: number, heap: number]> {
  const upstream = createHttpServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')
  }).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const port = await freePort()
  const child = new PinnedProcess(
    process.execPath,
    ['--v8-pool-size=1', '--expose-gc', '--import', COLLECT, join(DIST, 'src/main.js')],
    {
      core: GATEWAY_CORE,
      cwd: temporaryFolder(),
      env: {
        PORT: String(port),
        LOG_LEVEL: 'error',
        DRAIN_MS: '0',
        MOCK: 'true',
        STORE_MAX_BYTES: '3gb',
        RESUME_WINDOW_MS: NEVER_MS,
        SLOW_READER_MS: NEVER_MS,
        OPENAI_API_KEY: 'x',
        OPENAI_BASE_URL: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1`,
      },
    },
  )
  await untilListening(child, port)
  const gateway: Gateway = { port, process: child, sockets: [] }
  // Warm-up: first use of code and caches is not a cost of the load.
  await load(gateway, 0.05)
  const before = await settled(gateway)
  await load(gateway, 1)
  const after = await settled(gateway)
  for (const socket of gateway.sockets) socket.destroy()
  child.kill()
  await child.exited
  upstream.closeAllConnections()
  upstream.close()
  return [after.counted - before.counted, after.rss - before.rss, after.heap - before.heap]
}

console.log('| load | counted, MB | RSS, MB | heap and buffers, MB | counted / RSS |\n|---|---|---|---|---|')
for (const [name, load] of Object.entries(LOADS)) {
  if (process.argv[2] !== undefined && !name.includes(process.argv[2])) continue
  const [count, rss, heap] = await measure(load)
  const mb = (bytes: number) => (bytes / MB).toFixed(1)
  console.log(`| ${name} | ${mb(count)} | ${mb(rss)} | ${mb(heap)} | ${(count / rss).toFixed(2)} |`)
}
process.exit()
