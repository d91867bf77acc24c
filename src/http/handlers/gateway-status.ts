import { setTimeout as sleep } from 'node:timers/promises'
import { invalidField } from '../../errors.ts'
import { PROTOCOL_NAMES } from '../../protocols/protocol.ts'
import type { EventFields } from '../../sse/encode.ts'
import { eventStream } from '../../sse/event-stream.ts'
import { VERSION } from '../../version.ts'
import type { Handler, RequestContext } from '../context.ts'
import { READER_BYTES } from '../send-stream.ts'
import type { Services } from '../services.ts'

/** What the gateway is doing now; of nobody's streams in particular. */
export interface GatewayStatus {
  status: 'ready' | 'draining'
  version: string
  /** Milliseconds since 1970. */
  started: number
  /** Readers of streams. Those of this feed are not among them: each would be news for all the others. */
  connections: number
  /** Streams that have not ended. */
  streams: number
  providers: { name: string; breakers_open: number }[]
}

/** How soon after a change watchers hear of it, and how often at most. */
const PERIOD_MS = 250

/**
 * `GET /v1/status`: the status as JSON, or as a feed for an `EventSource`: `update` at first and after each change,
 * and `end` when the gateway drains. The `EventSource` comes back after that, to a 204 that stops it for good.
 */
export function gatewayStatus(services: Services): Handler {
  const { heartbeatMs, slowReaderMs } = services.config
  const options = { heartbeat: services.heartbeat, heartbeatMs, slowReaderMs }
  const read = statusReader(services)

  async function feed(context: RequestContext): Promise<void> {
    const held = services.budget.hold('readers', context.state.client, READER_BYTES)
    try {
      context.state.ended = await eventStream(context, (signal) => watch(read, signal), options)
    } finally {
      held.release()
    }
  }

  return async (context) => {
    context.vary('Accept')
    switch (context.accepts('application/json', 'text/event-stream')) {
      case 'application/json':
        context.set('Cache-Control', 'no-store')
        context.body = read()
        return
      case 'text/event-stream':
        if (services.draining) context.status = 204
        else await feed(context)
        return
      case false:
        throw invalidField('not_acceptable', 'Accept', 'must allow application/json or text/event-stream')
    }
  }
}

/** Reads counters that are kept anyway: being watched costs the streams nothing. */
function statusReader(services: Services): () => GatewayStatus {
  const { generations, metrics, router } = services
  const started = Date.now()
  const connections = PROTOCOL_NAMES.map((protocol) => metrics.cell('connections_open', { protocol }))
  return () => ({
    status: services.draining ? 'draining' : 'ready',
    version: VERSION,
    started,
    connections: connections.reduce((sum, { value }) => sum + value, 0),
    streams: generations.size,
    providers: router.providers.map((name) => ({ name, breakers_open: router.openBreakers(name) })),
  })
}

/** Looks again and again, as long as somebody listens. */
async function* watch(read: () => GatewayStatus, signal: AbortSignal): AsyncGenerator<EventFields> {
  let told = ''
  for (;;) {
    const status = read()
    const data = JSON.stringify(status)
    if (data !== told) yield { event: 'update', data }
    told = data
    if (status.status === 'draining') break
    await sleep(PERIOD_MS, undefined, { signal })
  }
  // An `EventSource` drops events without data.
  yield { event: 'end', data: {} }
}
