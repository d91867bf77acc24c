import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import type { Target } from './target.ts'

/** What an honest caller saw. */
export interface Testimony {
  /** Text of an event stream, read to its end. */
  text: string
  complete: boolean
  /** The median time between two reads of the stream, in milliseconds. */
  gap: number
  /** The longest response time of `/healthz`, in milliseconds, and how often it failed. */
  worst: number
  failures: number
}

/**
 * An honest caller in its own thread, so that the attacker's load in this process does not distort its times. It reads
 * one stream and asks for `/healthz`, each time on a new connection, until `leave` is called.
 */
export class Witness {
  readonly #worker: Worker
  /** Set to 1 to make the caller leave. */
  readonly #leaving = new Int32Array(new SharedArrayBuffer(4))

  constructor({ port }: Pick<Target, 'port'>, tokens: number) {
    this.#worker = new Worker(WITNESS, { eval: true, workerData: { port, tokens, leaving: this.#leaving } })
    onTestFinished(async () => void (await this.#worker.terminate()))
  }

  async leave(): Promise<Testimony> {
    Atomics.store(this.#leaving, 0, 1)
    const [testimony] = await once(this.#worker, 'message')
    return testimony
  }
}

/** Plain JavaScript: the thread cannot load TypeScript. */
const WITNESS = `
const { get, request } = require('node:http')
const { once } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')
const { parentPort, workerData: { port, tokens, leaving } } = require('node:worker_threads')
const options = { port, host: '127.0.0.1', agent: false }
let worst = 0, failures = 0

async function pulse() {
  do {
    const start = performance.now()
    await new Promise((resolve) => {
      const fail = () => { failures += 1; resolve() }
      get({ ...options, path: '/healthz' }, (response) => response.resume().on('end', resolve).on('error', fail)).on('error', fail)
    })
    worst = Math.max(worst, performance.now() - start)
    await sleep(20)
  } while (Atomics.load(leaving, 0) === 0)
}

async function read() {
  const mock = { tokens, interval_ms: 20, seed: 7 }
  const headers = { 'content-type': 'application/json' }
  const sent = request({ ...options, path: '/v1/chat', method: 'POST', headers })
  sent.end(JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], model: 'mock', mock }))
  const [response] = await once(sent, 'response')
  let heard = '', last = 0
  const gaps = []
  response.setEncoding('utf8').on('error', () => {}).on('data', (chunk) => {
    heard += chunk
    const now = performance.now()
    if (last > 0) gaps.push(now - last)
    last = now
  })
  await new Promise((resolve) => response.on('close', resolve))
  const deltas = [...heard.matchAll(/^event: delta\\ndata: (.*)$/gm)].map(([, json]) => JSON.parse(json).content ?? '')
  gaps.sort((a, b) => a - b)
  const complete = /event: done\\ndata: \\{"finish_reason":"stop"/.test(heard)
  return { text: deltas.join(''), complete, gap: gaps[gaps.length >> 1] ?? 0 }
}

const reading = read().catch((error) => ({ text: String(error), complete: false, gap: 0 }))
Promise.all([reading, pulse()]).then(([seen]) => parentPort.postMessage({ ...seen, worst, failures }))
`
