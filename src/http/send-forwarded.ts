import type { ForwardResponse } from '../../providers/provider.ts'
import type { Forwarded } from '../routing/forward.ts'
import type { HeartbeatListener } from '../sse/heartbeat.ts'
import { dropReader, isOver, whenOver, type AnyResponse } from '../sse/http2.ts'
import type { RequestContext, Services } from './context.ts'

/** Headers that describe the body, and what is left of rate limits. No other reaches a client: not even by accident. */
const PASSED = /^(content-(type|length|encoding|language|disposition|range)|([a-z]+-)?(x-)?ratelimit(-[a-z\d-]+)?)$/

/** Headers about the caller's limits, which replace the upstream's about the gateway's key. */
const OWN_LIMITS: ReadonlySet<string> = new Set(['ratelimit', 'ratelimit-policy'])
const NONE: ReadonlySet<string> = new Set()

/** As in HTTP; a module may return anything. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Bytes that a reader must take within `slowReaderMs`. */
const SLICE_BYTES = 16 * 1024

/** Looks at the bytes that pass. */
export interface Onlooker {
  add(bytes: Uint8Array): void
}

/**
 * Sends a response while it arrives, and reads no further while the client does not. Cuts off a client that does not
 * read; when the upstream fails, cuts off the response, so that nobody takes it for complete.
 *
 * @returns whether the client got all of it
 */
export async function sendForwarded(
  context: RequestContext,
  { config, heartbeat }: Pick<Services, 'config' | 'heartbeat'>,
  { status, headers, body }: Pick<Forwarded, 'status' | 'headers' | 'body'>,
  onlooker?: Onlooker,
): Promise<boolean> {
  const { res } = context
  context.respond = false
  context.status = status
  const passed = passedHeaders(headers, res.hasHeader('RateLimit-Policy') ? OWN_LIMITS : NONE)
  context.set({ ...passed, 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
  // An event stream: proxies must not collect it.
  if (/^text\/event-stream\b/.test(headers.get('content-type') ?? '')) context.set('X-Accel-Buffering', 'no')
  res.flushHeaders()
  const reader = new Reader(res, config.slowReaderMs)
  heartbeat.join(reader)
  whenOver(res, () => heartbeat.leave(reader))
  for await (const bytes of body) {
    onlooker?.add(bytes)
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
      if (!res.write(bytes.subarray(at, at + SLICE_BYTES))) await reader.drained()
      if (isOver(res)) return false
    }
  }
  reader.expectEnd()
  res.end()
  return true
}

function passedHeaders(headers: ForwardResponse['headers'], without: ReadonlySet<string>): Record<string, string> {
  return Object.fromEntries(
    [...headers].filter(([name, value]) => PASSED.test(name) && VALUE.test(value) && !without.has(name)),
  )
}

/** The client, who must make room in a full socket within a time. */
class Reader implements HeartbeatListener {
  readonly #response: AnyResponse
  readonly #slowReaderMs: number
  /** Since when it is waited for. */
  #since: number | undefined

  constructor(response: AnyResponse, slowReaderMs: number) {
    this.#response = response
    this.#slowReaderMs = slowReaderMs
  }

  async drained(): Promise<void> {
    const response = this.#response
    this.#since = performance.now()
    await new Promise<void>((resolve) => {
      const settle = () => {
        response.off('drain', settle)
        response.off('close', settle)
        resolve()
      }
      response.once('drain', settle)
      response.once('close', settle)
      if (isOver(response)) settle()
    })
    this.#since = undefined
  }

  expectEnd(): void {
    this.#since = performance.now()
  }

  beat(now: number): void {
    if (this.#since === undefined) return
    // An earlier response still uses the connection (pipelining).
    if (this.#response.socket === null) this.#since = now
    else if (now - this.#since >= this.#slowReaderMs) dropReader(this.#response)
  }
}
