import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

export interface GatewayProcess {
  url: string
  stop: () => Promise<void>
}

const listening = z.object({ msg: z.literal('listening'), url: z.string() })

/** Starts the built gateway with this configuration, and waits until it listens. */
export async function startGatewayProcess(configFile: string): Promise<GatewayProcess> {
  const program = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url))
  const child = spawn(process.execPath, [program, '--config', configFile], {
    env: { PATH: process.env.PATH, PORT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      const found = listening.safeParse(JSON.parse(line))
      if (found.success) resolve(found.data.url)
    })
    void closed.then(() => reject(new Error('The gateway did not start; npm run build?')))
  })
  return {
    url,
    async stop() {
      child.kill('SIGKILL')
      await closed
    },
  }
}
