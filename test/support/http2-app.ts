import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createSecureServer, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { onTestFinished } from 'vitest'
import { Heartbeat } from '../../src/sse/heartbeat.ts'
import { eventStream, type EventStreamEnd, type EventStreamOptions } from '../../src/sse/index.ts'
import { Journal } from './cutting-proxy.ts'
import { TLS } from './tls.ts'

export type Source = Parameters<typeof eventStream>[1]

export interface AppOptions extends EventStreamOptions {
  /** HTML. */
  page?: string
  /** What is waited for before a stream is begun. */
  before?: (context: Koa.Context) => Promise<unknown>
}

/**
 * A plain Koa app over HTTP/2 that answers with these event streams, by path, and otherwise with `page`; `ends` tells
 * how the streams were over.
 */
export async function serveHttp2(
  sources: Record<string, Source>,
  { page = '', before = async () => {}, ...options }: AppOptions = {},
) {
  const heartbeat = new Heartbeat(5)
  const ends = new Journal<EventStreamEnd | { thrown: unknown }>()
  const app = new Koa()
  app.silent = true
  app.use(async (ctx) => {
    const source = sources[ctx.path.slice(1)]
    await before(ctx)
    if (source)
      await eventStream(ctx, source, { heartbeat, ...options }).then(
        (end) => ends.add(end),
        (thrown: unknown) => ends.add({ thrown }),
      )
    else ctx.body = page
  })
  const handle = app.callback()
  const server = createSecureServer(
    { cert: readFileSync(TLS.tlsCert), key: readFileSync(TLS.tlsKey) },
    (request, response) => void handle(request, response),
  )
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => sessions.add(session))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const session of sessions) session.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, heartbeat, ends, sessions }
}
