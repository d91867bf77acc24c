import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { sharedRedis } from './redis.ts'
import { Journal } from './cutting-proxy.ts'

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface SluiceOptions {
  args?: string[]
  /** All that the process finds in its environment, beside the path and a free port. */
  env?: Record<string, string>
  /** Where it runs; an empty folder by default, so that no `sluice.yaml` is found. */
  cwd?: string
}

export interface SluiceProcess {
  /** Its log, parsed. */
  lines: Journal<Record<string, unknown>>
  /** Everything it has written, to either output. */
  output(): { stdout: string; stderr: string }
  kill(signal: NodeJS.Signals): void
  /** The exit code, or the signal that ended it, when all it wrote has been read. */
  exited: Promise<number | string>
}

/** As for `startGateway`. */
async function storeOf({ REDIS_URL }: Record<string, string>): Promise<Record<string, string>> {
  if (!process.env.TEST_STORE?.startsWith('redis') || REDIS_URL !== undefined) return {}
  return { REDIS_URL: (await sharedRedis()).url, REDIS_PREFIX: `test:${Math.random()}:` }
}

/** Starts the built program; ended with the test if it has not ended by then. */
export async function spawnSluice({ args = [], env = {}, cwd }: SluiceOptions = {}): Promise<SluiceProcess> {
  const child = spawn(process.execPath, [join(ROOT, 'dist/src/main.js'), ...args], {
    cwd: cwd ?? (await makeFolder()),
    env: { PATH: process.env.PATH, PORT: '0', ...(await storeOf(env)), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines = new Journal<Record<string, unknown>>()
  const output = { stdout: '', stderr: '' }
  let unfinished = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
    const parts = (unfinished + text).split('\n')
    unfinished = parts.pop() ?? ''
    for (const part of parts) if (part.startsWith('{"')) lines.add(JSON.parse(part))
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  const exited = new Promise<number | string>((resolve) =>
    child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown')),
  )
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return { lines, output: () => output, kill: (signal) => void child.kill(signal), exited }
}

/** Starts the built program, and waits until it listens. */
export async function startSluice(options: SluiceOptions = {}): Promise<SluiceProcess & { url: string }> {
  // As for `startGateway`: a machine that runs several suites at once is slow, and a gateway would refuse streams.
  const sluice = await spawnSluice({ ...options, env: { MAX_EVENT_LOOP_DELAY_MS: '0', ...options.env } })
  const line = await Promise.race([
    logged(sluice, 'listening'),
    sluice.exited.then((code) => Promise.reject(new Error(`It ended with ${code}: ${sluice.output().stderr}`))),
  ])
  return { ...sluice, url: String(line.url) }
}

/** Waits for the log line that says this. */
export async function logged({ lines }: SluiceProcess, message: string): Promise<Record<string, unknown>> {
  const find = (entries: readonly Record<string, unknown>[]) => entries.find(({ msg }) => msg === message)
  return find(await lines.until((entries) => find(entries) !== undefined))!
}

/** Keeps what is to be done when something is no longer needed. */
export type AtEnd = (cleanUp: () => Promise<void>) => void

/** A folder with these files in it, for one test unless there is another end. */
export async function makeFolder(files: Record<string, string> = {}, atEnd: AtEnd = onTestFinished): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'))
  atEnd(() => rm(folder, { recursive: true, force: true }))
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)))
  return folder
}
