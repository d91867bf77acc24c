import { spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { onTestFinished, vi } from 'vitest'
import { freePort } from '../free-port.ts'
import { makeFolder } from '../process.ts'

/** Below it each proxy serves the gateway, which is told so. */
export const PREFIX = '/llm'

export interface ProxySetup {
  /** Configuration files, by their names. */
  files: Record<string, string>
  /** For the program to stay in the foreground; it runs in the folder with the files. */
  args: (folder: string) => string[]
}

/** Starts the program of a proxy, ended with the test; resolves to the URL at which it serves the gateway. */
export async function startProxy(program: string, setup: (port: number) => ProxySetup): Promise<string> {
  const port = await freePort()
  const { files, args } = setup(port)
  const folder = await makeFolder(files)
  // A file, since Apache opens its standard error by name, which works for no socket.
  const log = await open(join(folder, 'log'), 'w')
  const child = spawn(program, args(folder), {
    cwd: folder,
    // Some write state below the home folder.
    env: { PATH: process.env.PATH, HOME: folder },
    stdio: ['ignore', log.fd, log.fd],
  })
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()))
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await closed
    await log.close()
  })
  await Promise.race([
    // Not all of them say when they listen.
    vi.waitFor(() => accepts(port), { timeout: 30_000, interval: 20 }),
    closed.then(async () => {
      throw new Error(`${program} did not start: ${await readFile(join(folder, 'log'), 'utf8')}`)
    }),
  ])
  return `http://127.0.0.1:${port}${PREFIX}`
}

/** Fails when nothing listens. */
async function accepts(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await new Promise<void>((resolve, reject) => socket.on('connect', resolve).on('error', reject))
  socket.destroy()
}
