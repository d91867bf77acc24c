import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { LoadCommands, OpenOptions } from './load.ts'
import { coreTimes, cpuSeconds, GATEWAY_CORE, LOAD_CORE, PinnedProcess } from './processes.ts'
import { connect, type Call } from './remote.ts'
import type { Pace, UpstreamCommands } from './upstream.ts'

/** What happened between two looks at the counters. */
export interface Sample {
  seconds: number
  /** Tokens that reached their readers. */
  tokens: number
  /** Reads that brought them; fewer where tokens were merged or left together. */
  reads: number
  /** Of the process under test. */
  cpuSeconds: number
  /** Share of the load's core that nobody used, and what upstream, readers and this program did of the rest. */
  loadIdle: number
  loadUse: number
  /** Share of the gateway's core that was used by anything but the process under test. */
  foreign: number
}

/** Share of both cores that the kernel and the counting itself take on a quiet machine. */
const QUIET = 0.1

export type Worst = Record<'idle' | 'use' | 'foreign', { share: number; where: string }>

/** Readers on the one side, an upstream on the other; the process under test comes in between. */
export class Rig {
  readonly upstream: Call<UpstreamCommands>
  readonly load: Call<LoadCommands>
  readonly upstreamPort: number
  readonly #processes: PinnedProcess[]
  /** The worst of all samples, for the report: whether the load side was the bottleneck, and the machine quiet. */
  readonly worst: Worst = {
    idle: { share: 1, where: '' },
    use: { share: 0, where: '' },
    foreign: { share: 0, where: '' },
  }

  private constructor(
    upstream: Call<UpstreamCommands>,
    load: Call<LoadCommands>,
    upstreamPort: number,
    processes: PinnedProcess[],
  ) {
    this.upstream = upstream
    this.load = load
    this.upstreamPort = upstreamPort
    this.#processes = processes
  }

  static async start(): Promise<Rig> {
    const processes = ['upstream.ts', 'load.ts'].map((file) => startScript(file, { core: LOAD_CORE, ipc: true }))
    const [upstream, load] = await Promise.all([
      connect<UpstreamCommands>(processes[0]!.child),
      connect<LoadCommands>(processes[1]!.child),
    ])
    return new Rig(upstream, load, await upstream('port'), processes)
  }

  /** What `subject` does while `meanwhile` lasts; without one, nothing but the load is looked at. */
  async sample(subject: PinnedProcess | undefined, meanwhile: () => Promise<unknown>): Promise<Sample> {
    const before = await this.#look(subject)
    await meanwhile()
    const after = await this.#look(subject)
    const seconds = (after.at - before.at) / 1000
    const cpu = after.cpu - before.cpu
    return {
      seconds,
      tokens: after.tokens - before.tokens,
      reads: after.reads - before.reads,
      cpuSeconds: cpu,
      loadIdle: 1 - share(before.loadCore, after.loadCore),
      loadUse: (after.loadCpu - before.loadCpu) / seconds,
      foreign: Math.max(0, share(before.gatewayCore, after.gatewayCore) - cpu / seconds),
    }
  }

  /**
   * Runs something up to three times, until others on the machine leave it alone: the quietest run counts. They make
   * relays look cheaper, since what waits for a core arrives together, and slower.
   */
  async quietRun<T>(subject: PinnedProcess | undefined, run: () => Promise<T>): Promise<{ sample: Sample; result: T }> {
    const once = async () => {
      let result: { value: T } | undefined
      const sample = await this.sample(subject, async () => {
        result = { value: await run() }
      })
      return { sample, result: result!.value }
    }
    let quietest = await once()
    for (let again = 0; again < 2 && disturbance(quietest.sample) > QUIET; again++) {
      const next = await once()
      if (disturbance(next.sample) < disturbance(quietest.sample)) quietest = next
    }
    return quietest
  }

  /** What `subject` does for so long with a load that is steady. */
  async steadySample(subject: PinnedProcess, milliseconds: number, where: string): Promise<Sample> {
    const { sample } = await this.quietRun(subject, () => sleep(milliseconds))
    this.#remember(sample, where)
    return sample
  }

  async #look(subject: PinnedProcess | undefined) {
    const { tokens, reads } = await this.load('counters')
    return {
      at: performance.now(),
      cpu: subject?.cpuSeconds() ?? 0,
      loadCpu: this.#processes.reduce((sum, each) => sum + each.cpuSeconds(), cpuSeconds(process.pid)),
      gatewayCore: coreTimes(GATEWAY_CORE),
      loadCore: coreTimes(LOAD_CORE),
      tokens,
      reads,
    }
  }

  #remember({ loadIdle, loadUse, foreign }: Sample, where: string): void {
    const { worst } = this
    if (loadIdle < worst.idle.share) worst.idle = { share: loadIdle, where }
    if (loadUse > worst.use.share) worst.use = { share: loadUse, where }
    if (foreign > worst.foreign.share) worst.foreign = { share: foreign, where }
  }

  /** Opens readers, with the upstream at this pace. @throws Error when any reader was refused */
  async open(pace: Pace, options: OpenOptions): Promise<number> {
    await this.load('reset')
    await this.upstream('configure', pace)
    const elapsed = await this.load('open', options)
    await this.#checkFailures()
    return elapsed
  }

  /**
   * Lets all streams end, and counts what was sent and what arrived. A relay that has fallen far behind is not waited
   * for: then nothing is said of what it would have lost. `started` are the streams that the upstream was asked for,
   * `begun` those that the readers asked for.
   */
  async finish(timeoutMs = 4000) {
    await this.load('stopAsking')
    await this.upstream('finish')
    const complete = await this.load('untilEnded', timeoutMs)
    const { sent, started } = await this.upstream('counters')
    const { tokens, begun } = await this.load('counters')
    if (complete) await this.#checkFailures()
    await this.load('reset')
    return { complete, sent, received: tokens, started, begun }
  }

  async #checkFailures(): Promise<void> {
    const { failures, firstFailure } = await this.load('counters')
    if (failures > 0) throw new Error(`${failures} readers failed, the first with: ${firstFailure}`)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((each) => each.stop()))
  }
}

interface StartScript {
  core: number
  node?: string
  ipc?: boolean
  args?: string[]
  flags?: string[]
}

/** A TypeScript file of this folder, as a process. */
export function startScript(
  file: string,
  { core, node = process.execPath, ipc, args = [], flags = [] }: StartScript,
): PinnedProcess {
  const path = fileURLToPath(new URL(file, import.meta.url))
  return new PinnedProcess(node, [...flags, '--import', import.meta.resolve('tsx'), path, ...args], { core, ipc })
}

/** What others took of both cores. */
function disturbance({ foreign, loadIdle, loadUse }: Sample): number {
  return foreign + Math.max(0, 1 - loadIdle - loadUse)
}

function share(before: { busy: number; total: number }, after: { busy: number; total: number }): number {
  return (after.busy - before.busy) / Math.max(1, after.total - before.total)
}
