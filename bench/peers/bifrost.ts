import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, GATEWAY_CORE, PinnedProcess, temporaryFolder, untilListening } from '../processes.ts'
import { chatRequests } from '../request.ts'
import { givenBinary } from './given-binary.ts'
import type { Relay } from './relay.ts'

const configuration = (upstreamPort: number) => ({
  client: { drop_excess_requests: false },
  providers: {
    openai: {
      keys: [{ name: 'bench', value: 'x', models: ['*'], weight: 1 }],
      network_config: { base_url: `http://127.0.0.1:${upstreamPort}` },
    },
  },
  config_store: { enabled: false },
})

/** (f) Another gateway in Go; without keys for callers, since these need its database. */
export const bifrost: Relay = {
  id: 'bifrost',
  title: 'Bifrost',
  async start({ upstreamPort }) {
    const program = givenBinary('PEER_BIFROST')
    const port = await freePort()
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'config.json'), JSON.stringify(configuration(upstreamPort)))
    const args = ['-app-dir', folder, '-host', '127.0.0.1', '-port', String(port)]
    const child = new PinnedProcess(program, args, {
      core: GATEWAY_CORE,
      cwd: folder,
      logFile: join(folder, 'log'),
      env: { HOME: folder },
    })
    await untilListening(child, port)
    return { process: child, port, ...chatRequests({ port, model: 'openai/bench' }) }
  },
}
