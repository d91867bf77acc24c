import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, GATEWAY_CORE, PinnedProcess, untilListening } from '../processes.ts'
import { chatRequests } from '../request.ts'
import { inFolder, installed } from './cache.ts'
import type { Relay } from './relay.ts'

const VERSION = '1.15.2'

/** Later ones of its range do not fit the version of hono that it is built with. */
const OVERRIDES = { '@hono/node-server': '1.13.5' }

/** (d) A gateway in Node that parses and re-encodes every chunk. */
export const portkey: Relay = {
  id: 'portkey',
  title: `Portkey gateway ${VERSION}`,
  sleepMs: 25,
  async start({ upstreamPort, node }) {
    const folder = await installed(`portkey-${VERSION}`, async (empty) => {
      const dependencies = { '@portkey-ai/gateway': VERSION }
      writeFileSync(join(empty, 'package.json'), JSON.stringify({ private: true, dependencies, overrides: OVERRIDES }))
      await inFolder(empty, 'npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'])
    })
    const port = await freePort()
    const program = join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js')
    const child = new PinnedProcess(node, [program, '--headless', `--port=${port}`], {
      core: GATEWAY_CORE,
      env: { NODE_ENV: 'production' },
    })
    await untilListening(child, port)
    const headers = {
      authorization: 'Bearer x',
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `http://127.0.0.1:${upstreamPort}/v1`,
    }
    return { process: child, port, ...chatRequests({ port, headers }), version: VERSION }
  },
}
