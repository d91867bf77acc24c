import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '../../src/client/index.ts'

const messages = [{ role: 'user' as const, content: 'How does a sluice work, and why?' }]

/** Readers of all protocols. */
export class Traffic {
  readonly #gateways: readonly string[]
  readonly #running = new Set<Promise<void>>()
  #wire = new AbortController()

  constructor(gateways: readonly string[]) {
    this.#gateways = gateways
  }

  /** Begins about `perSecond` streams a second, at random times as people do; when `signal` aborts, all readers leave. */
  async flow(perSecond: (elapsedMs: number) => number, signal: AbortSignal): Promise<void> {
    const start = performance.now()
    while (!signal.aborted) {
      const pause = (-1000 * Math.log(Math.random())) / perSecond(performance.now() - start)
      await sleep(pause, undefined, { signal }).catch(() => {})
      // A stream that fails is part of what the picture shows.
      const running: Promise<void> = this.#anyKind(signal)
        .catch(() => {})
        .finally(() => this.#running.delete(running))
      this.#running.add(running)
    }
    await Promise.all(this.#running)
  }

  /** Cuts the connections of all native readers, as a proxy does that is started anew. */
  cutAll(): void {
    this.#wire.abort(new TypeError('The connection was cut.'))
    this.#wire = new AbortController()
  }

  /** Opens a large stream and does not read it, for longer than the gateway waits. */
  async stall(forMs: number): Promise<void> {
    const sent = request(`${this.#anyGateway()}/v1/chat`, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json' },
    })
    sent.on('response', (response) => response.pause().on('error', () => {}))
    sent.on('error', () => {})
    sent.end(JSON.stringify({ messages, model: 'provider/large' }))
    await sleep(forMs)
    sent.destroy()
  }

  #anyKind(signal: AbortSignal): Promise<void> {
    const model = Math.random() < 0.6 ? 'assistant' : 'mock'
    const dice = Math.random()
    if (dice < 0.55) return this.#native(model, signal)
    const body = { messages, model, stream: true, max_tokens: 400 }
    if (dice < 0.8)
      return this.#post('/v1/chat/completions', { ...body, stream_options: { include_usage: true } }, signal)
    return this.#post('/v1/messages', body, signal)
  }

  async #post(path: string, body: object, signal: AbortSignal): Promise<void> {
    const headers = { 'content-type': 'application/json' }
    const init = { method: 'POST', headers, body: JSON.stringify(body), signal }
    const response = await fetch(this.#anyGateway() + path, init)
    await response.text()
  }

  /** Comes back after each cut, and now and then presses Stop. */
  async #native(model: string, signal: AbortSignal): Promise<void> {
    const client = createClient({
      baseUrl: this.#anyGateway(),
      fetch: (input, init) =>
        fetch(input, { ...init, signal: AbortSignal.any([this.#wire.signal, ...(init?.signal ? [init.signal] : [])]) }),
    })
    const stream = client.chat({ model, messages }, { signal })
    if (Math.random() < 0.05) setTimeout(() => void stream.cancel(), 1500)
    await stream.final()
  }

  #anyGateway(): string {
    return this.#gateways[Math.floor(Math.random() * this.#gateways.length)] ?? ''
  }
}
