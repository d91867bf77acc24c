import { freePort, GATEWAY_CORE, untilListening } from '../processes.ts'
import { chatBody, requestText } from '../request.ts'
import { startScript } from '../rig.ts'
import type { Relay, Running } from './relay.ts'

/** (b) What Node's own parts do when nobody looks at the bytes. */
export const nodePipe: Relay = {
  id: 'pipe',
  title: 'Node `http`, piped byte for byte',
  start: (upstreamPort) => start('peers/pipe-server.ts', upstreamPort),
}

/** (c) What most relays do. */
export const reencode: Relay = {
  id: 'reencode',
  title: 'parse, `JSON.parse`, re-encode, `res.write`',
  start: (upstreamPort) => start('peers/reencode-server.ts', upstreamPort),
}

async function start(file: string, upstreamPort: number): Promise<Running> {
  const port = await freePort()
  const child = startScript(file, { core: GATEWAY_CORE, args: [String(port), String(upstreamPort)] })
  await untilListening(child, port)
  const request = requestText({ port, path: '/v1/chat/completions', body: chatBody('bench') })
  return { process: child, port, request }
}
