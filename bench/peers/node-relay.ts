import { freePort, GATEWAY_CORE, untilListening } from '../processes.ts'
import { chatRequests } from '../request.ts'
import { startScript } from '../rig.ts'
import type { PinnedProcess } from '../processes.ts'
import type { Relay, Running, Surroundings } from './relay.ts'

/** (b) What Node's own parts do when nobody looks at the bytes. */
export const nodePipe: Relay = {
  id: 'pipe',
  title: 'Node `http`, piped byte for byte',
  start: (surroundings) => startRelay('peers/pipe-server.ts', surroundings),
}

/** What nothing written for Node can do much better than. */
export const rawSockets: Relay = {
  id: 'raw',
  title: 'Node, raw sockets, hand-parsed: the floor',
  relayingOnly: true,
  start: (surroundings) => startRelay('peers/raw-server.ts', surroundings),
}

/** (c) What most relays do. */
export const reencode: Relay = {
  id: 'reencode',
  title: 'parse, `JSON.parse`, re-encode, `res.write`',
  fullOnly: true,
  relayingOnly: true,
  start: (surroundings) => startRelay('peers/reencode-server.ts', surroundings),
}

async function startRelay(file: string, { upstreamPort, node }: Surroundings): Promise<Running> {
  const running = await startServer(file, node, upstreamPort)
  return { ...running, ...chatRequests({ port: running.port }) }
}

/** A Koa app that holds streams open and does nothing else. */
export function startKoa(node: string): Promise<{ process: PinnedProcess; port: number }> {
  return startServer('peers/koa-server.ts', node)
}

async function startServer(
  file: string,
  node: string,
  ...args: number[]
): Promise<{ process: PinnedProcess; port: number }> {
  const port = await freePort()
  const child = startScript(file, { core: GATEWAY_CORE, node, args: [port, ...args].map(String) })
  await untilListening(child, port)
  return { process: child, port }
}
