import { EVENT_STREAM, JSON_TYPE, negotiate } from '../../media-types.ts'
import type { EventFields } from '../../sse/encode.ts'
import { eventStream } from '../../sse/event-stream.ts'
import { VERSION } from '../../version.ts'
import type { Handler, RequestContext, Services } from '../context.ts'
import { READER_BYTES } from '../send-stream.ts'

/** Aggregate status. Contains nothing about individual streams. */
export interface GatewayStatus {
  status: 'ready' | 'draining'
  version: string
  /** Milliseconds since 1970. */
  started: number
  /** Readers of streams. Readers of this feed do not count: each would cause an update for all others. */
  connections: number
  /** Streams that have not ended. */
  streams: number
  providers: { name: string; breakers_open: number }[]
}

/** Longest delay between a change and its update, and shortest time between two updates. */
const PERIOD_MS = 250

/**
 * `GET /v1/status`: the status as JSON, or as a feed for an `EventSource`: `update` at first and after each change,
 * and `end` when the gateway drains. The `EventSource` then reconnects and gets a 204, which stops it for good.
 */
export function gatewayStatus(services: Services): Handler {
  const { heartbeatMs, slowReaderMs } = services.config
  const options = { heartbeat: services.heartbeat, heartbeatMs, slowReaderMs }
  const read = statusReader(services)
  const changes = new StatusChanges(read)

  async function feed(context: RequestContext): Promise<void> {
    const held = services.budget.hold('readers', context.state.client, READER_BYTES)
    try {
      context.state.ended = await eventStream(context, (signal) => changes.watch(signal), options)
    } finally {
      held.release()
    }
  }

  return async (context) => {
    context.vary('Accept')
    if (negotiate(context.get('Accept'), JSON_TYPE, EVENT_STREAM) === JSON_TYPE) context.body = read()
    else if (services.draining) context.status = 204
    else await feed(context)
  }
}

/** Reads counters that the gateway keeps anyway, so the feed costs the streams nothing. */
function statusReader(services: Services): () => GatewayStatus {
  const { router, elsewhere, startedAt: started } = services
  const count = openCounts(services)
  return () => {
    const here = count()
    const others = elsewhere?.()
    return {
      status: services.draining ? 'draining' : 'ready',
      version: VERSION,
      started,
      connections: here.connections + (others?.connections ?? 0),
      streams: here.streams + (others?.streams ?? 0),
      providers: router.providers.map((name) => ({ name, breakers_open: router.openBreakers(name) })),
    }
  }
}

/** Counts what is open in this process. */
export function openCounts({
  generations,
  metrics,
  protocols,
}: Services): () => Pick<GatewayStatus, 'connections' | 'streams'> {
  const connections = protocols.names.map((protocol) => metrics.cell('connections_open', { protocol }))
  return () => ({
    connections: connections.reduce((sum, { value }) => sum + value, 0),
    streams: generations.size,
  })
}

/** Polls the status once for all watchers: without changes, a watcher costs nothing. */
class StatusChanges {
  readonly #read: () => GatewayStatus
  readonly #waiting = new Set<() => void>()
  #status: GatewayStatus
  #json = ''
  #timer: NodeJS.Timeout | undefined

  constructor(read: () => GatewayStatus) {
    this.#read = read
    this.#status = read()
  }

  /** `update` at first and after each change, and `end` once the gateway drains. */
  async *watch(signal: AbortSignal): AsyncGenerator<EventFields> {
    this.#look()
    for (let told = ''; ;) {
      if (this.#json !== told) yield { event: 'update', data: (told = this.#json) }
      else if (this.#status.status === 'draining') break
      else await this.#nextChange(signal)
    }
    // An `EventSource` drops events without data.
    yield { event: 'end', data: {} }
  }

  async #nextChange(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    let wake = () => {}
    const woken = new Promise<void>((resolve) => (wake = resolve))
    this.#waiting.add(wake)
    signal.addEventListener('abort', wake, { once: true })
    this.#timer ??= setInterval(() => this.#look(), PERIOD_MS)
    await woken
    signal.removeEventListener('abort', wake)
    this.#waiting.delete(wake)
    if (this.#waiting.size === 0) this.#stop()
    signal.throwIfAborted()
  }

  #look(): void {
    const status = this.#read()
    const json = JSON.stringify(status)
    if (json === this.#json) return
    this.#status = status
    this.#json = json
    for (const wake of this.#waiting) wake()
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
