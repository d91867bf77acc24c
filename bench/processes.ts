import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, connect as connectTo, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The gateway under test has one core for itself; upstream, load and this program share the other. */
export const GATEWAY_CORE = 0
export const LOAD_CORE = 1

/** For several processes under test that share both cores with the load. */
export const ALL_CORES = `${GATEWAY_CORE},${LOAD_CORE}`

export interface PinnedOptions {
  /** One, or several with commas between them. */
  core: number | string
  /** All that it finds in its environment, beside the path. */
  env?: Record<string, string>
  cwd?: string
  /** Takes all that it writes; otherwise this program reads it. */
  logFile?: string | undefined
  /** Whether it answers questions; see `remote.ts`. */
  ipc?: boolean | undefined
}

const running = new Set<PinnedProcess>()
const folders: string[] = []

/** A child on one core, whose use of CPU and memory can be read, with that of its own children. */
export class PinnedProcess {
  readonly child: ChildProcess
  readonly exited: Promise<void>
  readonly #logFile: string | undefined
  #output = ''

  constructor(command: string, args: readonly string[], { core, env = {}, cwd, logFile, ipc = false }: PinnedOptions) {
    this.#logFile = logFile
    const log = logFile === undefined ? undefined : openSync(logFile, 'a')
    this.child = spawn('taskset', ['-c', String(core), command, ...args], {
      cwd,
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', log ?? 'pipe', log ?? 'pipe', ...(ipc ? (['ipc'] as const) : [])],
    })
    if (log !== undefined) closeSync(log)
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-4000)
      })
    running.add(this)
    this.exited = new Promise((resolve) => {
      const ended = () => {
        running.delete(this)
        resolve()
      }
      this.child.on('close', ended).on('error', ended)
    })
  }

  /** The end of what it has written, for error messages. */
  get output(): string {
    const written = this.#logFile === undefined ? this.#output : readFileSync(this.#logFile, 'utf8').slice(-4000)
    return written.trim()
  }

  cpuSeconds(): number {
    return treeOf(this.child.pid).reduce((sum, pid) => sum + cpuSeconds(pid), 0)
  }

  rssBytes(): number {
    return treeOf(this.child.pid).reduce((sum, pid) => sum + rssBytes(pid), 0)
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM')
    const killed = setTimeout(() => this.kill(), 2000)
    await this.exited
    clearTimeout(killed)
  }

  /** By pid, children first: a master that is killed leaves its workers behind. */
  kill(): void {
    for (const pid of treeOf(this.child.pid).toReversed())
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has gone by itself.
      }
  }
}

/** This program starts others and waits: it does so on the load's core. */
export function pinSelf(): void {
  execFileSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)])
}

process.on('exit', () => {
  for (const one of running) one.kill()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

/** A process and those below it, parents first. */
function treeOf(pid: number | undefined): number[] {
  if (pid === undefined) return []
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    )
    return [pid, ...children.flatMap(treeOf)]
  } catch {
    return []
  }
}

/**
 * From `schedstat`, in nanoseconds, thread by thread: `stat` counts in ticks of 10 ms, too coarse for what takes 1 %
 * of a core for two seconds.
 */
export function cpuSeconds(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
      const [nanoseconds = '0'] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')
      return sum + Number(nanoseconds) / 1e9
    }, 0)
  } catch {
    return 0
  }
}

function rssBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
}

export interface CoreTimes {
  busy: number
  total: number
}

/** What all processes of the machine have used of a core since it started, in ticks. */
export function coreTimes(core: number): CoreTimes {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
  // user nice system idle iowait irq softirq steal; the rest is counted in `user` already.
  const ticks = line.trim().split(/\s+/).slice(0, 8).map(Number)
  const total = ticks.reduce((sum, each) => sum + each, 0)
  return { busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0), total }
}

/** How many files a process of ours may hold open. */
export function fileLimit(): number {
  return Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024)
}

/** An empty folder, gone with this program. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  folders.push(folder)
  return folder
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** @throws Error with what the process wrote, when it ends or does not listen in time */
export async function untilListening(one: PinnedProcess, port: number, timeoutMs = 20_000): Promise<void> {
  let ended = false
  one.exited.then(
    () => (ended = true),
    () => {},
  )
  const deadline = performance.now() + timeoutMs
  while (!(await accepts(port))) {
    if (ended || performance.now() > deadline)
      throw new Error(`${ended ? 'It ended' : `It does not listen after ${timeoutMs} ms`}: ${one.output.slice(-600)}`)
    await sleep(50)
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTo(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
