import { freePort, GATEWAY_CORE, untilListening } from '../processes.ts'
import { chatBody, requestText } from '../request.ts'
import { startScript } from '../rig.ts'
import type { PinnedProcess } from '../processes.ts'
import type { Relay, Running } from './relay.ts'

/** (b) What Node's own parts do when nobody looks at the bytes. */
export const nodePipe: Relay = {
  id: 'pipe',
  title: 'Node `http`, piped byte for byte',
  start: (upstreamPort) => startRelay('peers/pipe-server.ts', upstreamPort),
}

/** What nothing written for Node can do much better than. */
export const rawSockets: Relay = {
  id: 'raw',
  title: 'Node, raw sockets, hand-parsed: the floor',
  start: (upstreamPort) => startRelay('peers/raw-server.ts', upstreamPort),
}

/** (c) What most relays do. */
export const reencode: Relay = {
  id: 'reencode',
  title: 'parse, `JSON.parse`, re-encode, `res.write`',
  fullOnly: true,
  start: (upstreamPort) => startRelay('peers/reencode-server.ts', upstreamPort),
}

async function startRelay(file: string, upstreamPort: number): Promise<Running> {
  const running = await startServer(file, upstreamPort)
  const request = requestText({ port: running.port, path: '/v1/chat/completions', body: chatBody('bench') })
  return { ...running, request }
}

/** A Koa app that holds streams open and does nothing else. */
export function startKoa(): Promise<{ process: PinnedProcess; port: number }> {
  return startServer('peers/koa-server.ts')
}

async function startServer(file: string, ...args: number[]): Promise<{ process: PinnedProcess; port: number }> {
  const port = await freePort()
  const child = startScript(file, { core: GATEWAY_CORE, args: [port, ...args].map(String) })
  await untilListening(child, port)
  return { process: child, port }
}
