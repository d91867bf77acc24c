// Honest and hostile callers together, for long. `npm run soak` takes 30 minutes and judges times; the suite takes
// seconds and judges memory and answers only.

import { writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { expect, it, onTestFinished } from 'vitest'
import { answersTo, ask, dial, startTarget, type Sample, type Target } from './target.ts'

/** Minutes of `npm run soak`; 0 in the suite. */
const MINUTES = Number(process.env.SOAK_MINUTES ?? 0)
const IS_FULL = MINUTES > 0
const SOAK_MS = IS_FULL ? MINUTES * 60_000 : 12_000
const LINE_MS = IS_FULL ? Math.min(60_000, SOAK_MS / 12) : 1000
/** Before the attack, without it. */
const QUIET_MS = IS_FULL ? 60_000 : 2000

/** Where `npm run soak` writes its curves, beside a `.csv`. */
const FILE = process.env.SOAK_FILE ?? 'bench/soak.json'

/** Growth from the mean of the first third to that of the last, in MB; in seconds, code is still compiled. */
const HEAP_GROWTH = IS_FULL ? 4 : 12
const RSS_GROWTH = IS_FULL ? 30 : 60
/** The p99 of honest callers against that of quiet times. */
const TIMES_BASELINE = 2

const KEY = 'slk_honest'

interface Waits {
  p50: number
  p99: number
  count: number
  faults: string[]
}

/** Honest callers in their own thread, which report the times to their first tokens. */
class Honest {
  readonly #worker: Worker

  constructor({ port }: Target) {
    this.#worker = new Worker(HONEST, { eval: true, workerData: { port, key: KEY } })
    onTestFinished(async () => void (await this.#worker.terminate()))
  }

  /** What they saw since the last report. */
  async report(): Promise<Waits> {
    const answer = once(this.#worker, 'message')
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- to a thread, not to a window
    this.#worker.postMessage('report')
    const [waits] = await answer
    return waits
  }
}

/** Plain JavaScript: the thread cannot load TypeScript. Twenty requests a second, each of which must be answered in full. */
const HONEST = `
const { Agent, request } = require('node:http')
const { parentPort, workerData: { port, key } } = require('node:worker_threads')
const agent = new Agent({ keepAlive: true })
let waits = [], faults = []
const bodies = [
  ['/v1/chat', /event: done\\ndata: \\{"finish_reason":"stop"/],
  ['/v1/chat/completions', /data: \\[DONE\\]/],
  ['/v1/messages', /event: message_stop/],
]
let position = 0
function one() {
  const [path, end] = bodies[position++ % bodies.length]
  const body = JSON.stringify({
    model: 'mock', stream: true, max_tokens: 100, messages: [{ role: 'user', content: 'hi' }],
    mock: { tokens: 20, interval_ms: 20, first_token_ms: 0 },
  })
  const headers = { authorization: 'Bearer ' + key, 'content-type': 'application/json' }
  const start = performance.now()
  const fail = (why) => faults.push(path + ': ' + why)
  const sent = request({ port, host: '127.0.0.1', agent, path, method: 'POST', headers }, (response) => {
    let text = ''
    response.setEncoding('utf8').on('data', (chunk) => {
      if (text === '') waits.push(performance.now() - start)
      text += chunk
    })
    response.on('error', (error) => fail(error.message))
    response.on('end', () => (response.statusCode === 200 && end.test(text)) || fail(response.statusCode + ' ' + text.slice(0, 200)))
  })
  sent.on('error', (error) => fail(error.message)).end(body)
}
setInterval(one, 50)
parentPort.on('message', () => {
  const sorted = waits.sort((a, b) => a - b)
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  parentPort.postMessage({ p50: at(0.5), p99: at(0.99), count: sorted.length, faults })
  waits = []; faults = []
})
`

const head = (path: string, lines = '', length = 0) =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n${lines}\r\n`
const chat = (fields: object, lines = '') => {
  const body = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], ...fields })
  return head('/v1/chat', `authorization: Bearer ${KEY}-2\r\n${lines}`, Buffer.byteLength(body)) + body
}

/** One of these a turn, from another caller than the honest. Each leaves by itself, or is left open for a while. */
const ATTACKS: Record<string, (target: Target, i: number) => Promise<unknown>> = {
  'wrong keys with a body': (target, i) =>
    ask(target, '/v1/chat', { body: Buffer.alloc(1_000_000, 'x'), headers: { authorization: `Bearer wrong-${i}` } }),
  'wrong tickets': (target, i) =>
    ask(target, `/v1/streams/str_${String(i).padStart(32, '0')}?ticket=r1.${'x'.repeat(43)}`),
  'half a head': (target) => leave(target, 'POST /v1/chat HTTP/1.1\r\nhost: localhost\r\nx-a: '),
  'half a body': (target) =>
    leave(target, head('/v1/chat', `authorization: Bearer ${KEY}-2\r\n`, 5_000_000) + 'x'.repeat(500_000)),
  'a reader that does not read': (target) =>
    leave(target, chat({ mock: { text: 'x'.repeat(500_000), interval_ms: 0 } }), false),
  'a stream that is created and left': (target, i) =>
    leave(
      target,
      chat({ mock: { tokens: 1000, interval_ms: 50 } }, `prefer: respond-async\r\nidempotency-key: k${i}\r\n`),
    ),
  'a mock at full speed': (target) => leave(target, chat({ mock: { tokens: 20_000, interval_ms: 0 } })),
  'a body of wrong types': (target) =>
    ask(target, '/v1/chat', {
      body: `{"messages":[${'0,'.repeat(50_000)}0]}`,
      headers: { authorization: `Bearer ${KEY}-2` },
    }),
  'smuggled requests': (target) =>
    answersTo(
      target,
      `${head('/v1/chat').replace('content-length: 0', 'content-length: 4\r\ntransfer-encoding: chunked')}0\r\n\r\n`,
    ),
  'pipelined metrics': (target) => leave(target, 'GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(20), false),
}

/** Sends these bytes, and goes away a second later. */
async function leave(target: Target, bytes: string, read = true): Promise<void> {
  const socket = await dial(target, bytes, { read })
  await sleep(1000)
  socket.destroy()
}

/** A new attack each 100 ms, until told to stop. */
async function attack(target: Target, signal: AbortSignal): Promise<number> {
  const running = new Set<Promise<unknown>>()
  let i = 0
  for (; !signal.aborted; i++) {
    const attacks = Object.values(ATTACKS)
    const one = attacks[i % attacks.length]?.(target, i).catch(() => {})
    if (one) running.add(one.finally(() => running.delete(one)))
    await sleep(100)
  }
  await Promise.all(running)
  return i
}

interface Line extends Sample {
  seconds: number
  p50: number
  p99: number
  answers: number
  handles: number
}

const round = (value: number) => Math.round(value * 10) / 10
const mean = (lines: readonly Line[], field: 'heap' | 'rss') =>
  lines.reduce((sum, line) => sum + line[field], 0) / Math.max(1, lines.length)

it(
  'honest and hostile callers together: flat memory, and every honest answer',
  async () => {
    const target = await startTarget({
      SLUICE_KEYS: `honest:${KEY},hostile:${KEY}-2`,
      METRICS_TOKEN: 'metrics',
      RETENTION_MS: '5000',
      RESUME_WINDOW_MS: '1000',
      SLOW_READER_MS: '2000',
    })
    const honest = new Honest(target)
    // The first requests compile the code.
    await sleep(QUIET_MS / 2)
    await honest.report()
    await sleep(QUIET_MS)
    const quiet = await honest.report()
    console.log(`quiet: p50 ${round(quiet.p50)} ms, p99 ${round(quiet.p99)} ms of ${quiet.count} first tokens`)

    const end = new AbortController()
    const attacking = attack(target, end.signal)
    const lines: Line[] = []
    const all: Waits[] = []
    const start = performance.now()
    while (performance.now() - start < SOAK_MS) {
      await sleep(LINE_MS)
      const waits = await honest.report()
      const sample = await target.sample()
      all.push(waits)
      const handles = Object.values(sample.resources).reduce((sum, count) => sum + count, 0)
      const line = {
        ...sample,
        seconds: Math.round((performance.now() - start) / 1000),
        p50: waits.p50,
        p99: waits.p99,
        answers: waits.count,
        handles,
      }
      lines.push(line)
      console.log(
        `${line.seconds} s: RSS ${round(line.rss)} MB, heap ${round(line.heap)} MB, external ${round(line.external)} MB, ` +
          `${handles} handles, p50 ${round(line.p50)} ms, p99 ${round(line.p99)} ms of ${line.answers}`,
      )
    }
    end.abort()
    const attacks = await attacking

    const third = Math.ceil(lines.length / 3)
    const growth = (field: 'heap' | 'rss') => mean(lines.slice(-third), field) - mean(lines.slice(0, third), field)
    const sorted = lines.map(({ p99 }) => p99).toSorted((a, b) => a - b)
    const p99 = sorted[Math.floor(sorted.length / 2)] ?? 0
    const verdict = {
      attacks,
      honest: all.reduce((sum, { count }) => sum + count, 0),
      faults: all.flatMap(({ faults }) => faults),
      heapGrowth: round(growth('heap')),
      rssGrowth: round(growth('rss')),
      quietP99: round(quiet.p99),
      medianP99: round(p99),
    }
    console.log(verdict)
    if (IS_FULL) writeCurves(lines, quiet, verdict)
    expect(target.ended).toBeUndefined()
    expect(target.output()).not.toMatch(/"level":"(error|fatal)"|Warning/)
    expect([...quiet.faults, ...verdict.faults]).toEqual([])
    expect(verdict.honest).toBeGreaterThan(SOAK_MS / 1000)
    expect(verdict.heapGrowth).toBeLessThan(HEAP_GROWTH)
    expect(verdict.rssGrowth).toBeLessThan(RSS_GROWTH)
    if (IS_FULL) expect(p99).toBeLessThanOrEqual(TIMES_BASELINE * quiet.p99)
  },
  SOAK_MS + QUIET_MS * 2 + 120_000,
)

function writeCurves(lines: readonly Line[], quiet: Waits, verdict: object): void {
  writeFileSync(FILE, `${JSON.stringify({ quiet, verdict, lines }, null, 2)}\n`)
  const fields = ['seconds', 'rss', 'heap', 'external', 'handles', 'p50', 'p99', 'answers'] as const
  const rows = lines.map((line) => fields.map((field) => round(line[field])).join(','))
  writeFileSync(FILE.replace(/\.json$/, '.csv'), [fields.join(','), ...rows, ''].join('\n'))
}
