import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { freePort, GATEWAY_CORE, PinnedProcess, temporaryFolder, untilListening } from '../processes.ts'
import { chatRequests } from '../request.ts'
import { givenBinary } from './given-binary.ts'
import type { Relay } from './relay.ts'

const KEY = 'key-of-the-bench'

/** (f) A gateway in Go that does the same work: it checks keys, and records usage. */
export const gomodel: Relay = {
  id: 'gomodel',
  title: 'GoModel',
  async start({ upstreamPort }) {
    const program = givenBinary('PEER_GOMODEL')
    const port = await freePort()
    const folder = temporaryFolder()
    const child = new PinnedProcess(program, [], {
      core: GATEWAY_CORE,
      cwd: folder,
      logFile: join(folder, 'log'),
      env: {
        HOME: folder,
        PORT: String(port),
        GOMODEL_MASTER_KEY: KEY,
        OPENAI_API_KEY: 'x',
        OPENAI_BASE_URL: `http://127.0.0.1:${upstreamPort}/v1`,
        // Otherwise it fetches a table of models from the network.
        MODEL_LIST_URL: '',
      },
    })
    await untilListening(child, port)
    const version = execFileSync(program, ['-version'], { encoding: 'utf8' }).trim()
    const requests = chatRequests({ port, headers: { authorization: `Bearer ${KEY}` } })
    return { process: child, port, ...requests, version }
  },
}
