import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, GATEWAY_CORE, PinnedProcess, untilListening } from '../processes.ts'
import { chatRequests } from '../request.ts'
import { inFolder, installed } from './cache.ts'
import type { Relay } from './relay.ts'

const VERSION = '1.106.2'

const configuration = (upstreamPort: number) => `
model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: http://127.0.0.1:${upstreamPort}/v1
      api_key: x
litellm_settings:
  telemetry: false
general_settings:
  disable_model_info_refresh: true
`

/** (e) A gateway in Python. */
export const litellm: Relay = {
  id: 'litellm',
  title: `LiteLLM ${VERSION}`,
  fullOnly: true,
  scale: 0.1,
  async start({ upstreamPort }) {
    const folder = await installed(`litellm-${VERSION}`, async (empty) => {
      await inFolder(empty, 'python3', ['-m', 'venv', '.'])
      await inFolder(empty, 'bin/pip', ['install', '-q', `litellm[proxy]==${VERSION}`])
    })
    const port = await freePort()
    // It does not start without one.
    const key = `sk-${randomBytes(24).toString('hex')}`
    writeFileSync(join(folder, 'config.yaml'), configuration(upstreamPort))
    const args = ['--config', join(folder, 'config.yaml'), '--host', '127.0.0.1', '--port', String(port)]
    const child = new PinnedProcess(join(folder, 'bin/litellm'), [...args, '--num_workers', '1'], {
      core: GATEWAY_CORE,
      cwd: folder,
      // Otherwise it fetches a table of prices from the network when it starts.
      env: { HOME: folder, LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR', LITELLM_MASTER_KEY: key },
    })
    await untilListening(child, port, 90_000)
    const requests = chatRequests({ port, headers: { authorization: `Bearer ${key}` } })
    return { process: child, port, ...requests, version: VERSION }
  },
}
