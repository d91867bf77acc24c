import cluster, { type Worker } from 'node:cluster'
import type { Config } from '../config.ts'
import { ConfigError } from '../errors.ts'
import type { ReloadResult } from '../reload.ts'
import { MemoryBackplane } from '../store/backplane/memory-backplane.ts'
import type { Logger } from '../telemetry/logger.ts'
import { channelToWorker } from './channel.ts'
import { single, sumExpositions, writeExposition } from './exposition.ts'
import type { BackplaneMethods, Listening, OpenCounts, PrimaryMethods, WorkerMethods } from './methods.ts'
import { Peer } from './peer.ts'
import { serveBackplane } from './serve-backplane.ts'
import { SummedMetrics } from './sum-metrics.ts'
import { WORKER_VARIABLE } from './worker.ts'

/** A worker that ends sooner is replaced after a pause, which doubles up to the longest. */
const SOON_MS = 5000
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 4000

export interface PrimaryOptions {
  /** How many workers there are. */
  readonly workers: number
  readonly config: Config
  readonly logger: Logger
  /** Resolves when all workers are to drain, to the reason. */
  readonly stopped: Promise<string>
  /** All workers listen. */
  readonly onListening: (listening: Listening) => void
  /** No worker can start, for this reason. */
  readonly onFailed: (reason: string) => void
}

interface Member {
  readonly peer: Peer<WorkerMethods>
  readonly worker: Worker
  readonly startedAt: number
  isListening: boolean
  counts: OpenCounts
  failure: string | undefined
}

/** Runs the gateway in several processes that share its ports. */
export class Primary {
  readonly #options: PrimaryOptions
  readonly #logger: Logger
  readonly #members = new Map<number, Member>()
  readonly #metrics = new SummedMetrics()
  readonly #pauses = new Set<NodeJS.Timeout>()
  #backplane: MemoryBackplane | undefined
  #config: Config
  readonly #reloads = { success: 0, failure: 0 }
  #restarts = 0
  /** Workers that ended soon, one after the other. */
  #failedStarts = 0
  /** A worker has listened: the settings are good. */
  #hasStarted = false
  #isAnnounced = false
  #isStopping = false
  #code = 0
  #onEnd: (code: number) => void = () => {}

  constructor(options: PrimaryOptions) {
    this.#options = options
    this.#logger = options.logger
    this.#config = options.config
  }

  /** Resolves to the exit code. */
  async run(): Promise<number> {
    // Structured clones: limits and gauges are infinite numbers, which JSON does not have.
    cluster.setupPrimary({ serialization: 'advanced' })
    const ended = new Promise<number>((resolve) => (this.#onEnd = resolve))
    void this.#options.stopped.then((reason) => this.#stop(reason))
    // The others follow when it listens, so that bad settings are reported once.
    this.#fork()
    const code = await ended
    this.#metrics.close()
    return code
  }

  /**
   * Puts a configuration in force in all workers, and in those that start later. The first worker decides for all.
   *
   * @throws ConfigError when that worker refuses it; then nothing has changed
   */
  async reload(config: Config): Promise<void> {
    const first = [...this.#members.values()].find(({ isListening }) => isListening)
    const faults = (await first?.peer.call('reload', config)) ?? []
    if (faults.length > 0) throw new ConfigError([...faults])
    this.#config = config
    const others = [...this.#members.values()].filter((member) => member !== first)
    await Promise.all(
      others.map(async ({ peer, worker }) => {
        // One that has ended is replaced by one with this configuration.
        const refused = await peer.call('reload', config).catch(() => [])
        if (refused.length > 0) this.#logger.error({ worker: worker.id, faults: refused }, 'worker not reloaded')
      }),
    )
  }

  countReload(result: ReloadResult): void {
    this.#reloads[result] += 1
  }

  #fork(): void {
    const worker = cluster.fork({ [WORKER_VARIABLE]: '1' })
    const { served, peer } = this.#connect(worker)
    const member: Member = {
      peer,
      worker,
      startedAt: performance.now(),
      isListening: false,
      counts: { connections: 0, streams: 0 },
      failure: undefined,
    }
    this.#members.set(worker.id, member)
    worker.on('error', (error) =>
      this.#logger.error({ worker: worker.id, err: { message: error.message } }, 'worker failed'),
    )
    worker.once('disconnect', () => void served.close())
    worker.once('exit', (code, signal) => {
      void served.close()
      this.#ended(member, code, signal)
    })
  }

  #connect(worker: Worker): { peer: Peer<WorkerMethods>; served: ReturnType<typeof serveBackplane> } {
    const own: Omit<PrimaryMethods, keyof BackplaneMethods> = {
      config: async () => this.#config,
      listening: async (listening) => this.#listening(worker, listening),
      failed: async (reason) => {
        const member = this.#members.get(worker.id)
        if (member) member.failure = reason
      },
      counts: async (counts) => {
        const member = this.#members.get(worker.id)
        if (member) member.counts = counts
        this.#shareCounts()
      },
      sumMetrics: (open) => this.#sumMetrics(open),
    }
    const served = serveBackplane(
      async (lifetimes) => {
        this.#backplane ??= new MemoryBackplane(lifetimes, { maxBytes: this.#config.storeMaxBytes })
      },
      () => this.#opened,
      (...delivery) => peer.call('deliver', ...delivery),
    )
    const peer = new Peer<WorkerMethods>(channelToWorker(worker), { ...served.methods, ...own })
    return { peer, served }
  }

  get #opened(): MemoryBackplane {
    if (!this.#backplane) throw new Error('No worker has opened the backplane.')
    return this.#backplane
  }

  #listening(worker: Worker, listening: Listening): void {
    const member = this.#members.get(worker.id)
    if (!member) return
    member.isListening = true
    this.#metrics.add(worker.id, () => member.peer.call('metrics'))
    this.#shareCounts()
    this.#logger.info({ worker: worker.id, pid: worker.process.pid }, 'worker listens')
    if (!this.#hasStarted && !this.#isStopping) for (let i = 1; i < this.#options.workers; i++) this.#fork()
    this.#hasStarted = true
    if (this.#isAnnounced || this.#isStopping || this.#listeners < this.#options.workers) return
    this.#isAnnounced = true
    this.#options.onListening(listening)
  }

  get #listeners(): number {
    return [...this.#members.values()].filter(({ isListening }) => isListening).length
  }

  /** Tells every worker what is open in the others. */
  #shareCounts(): void {
    const members = [...this.#members.values()]
    for (const { peer, isListening, counts: own } of members) {
      const sum = (field: keyof OpenCounts) => members.reduce((all, { counts }) => all + counts[field], -own[field])
      if (isListening)
        peer.call('elsewhere', { connections: sum('connections'), streams: sum('streams') }).catch(() => {})
    }
  }

  #ended({ worker, startedAt, failure }: Member, code: number, signal: string | null): void {
    this.#members.delete(worker.id)
    this.#metrics.remove(worker.id)
    this.#shareCounts()
    if (this.#isStopping) {
      if (code !== 0) this.#code = 1
      if (this.#members.size === 0) this.#onEnd(this.#code)
      return
    }
    if (!this.#hasStarted) {
      this.#options.onFailed(failure ?? `a worker ended with ${signal ?? code} before it listened`)
      this.#onEnd(1)
      return
    }
    this.#logger.warn({ worker: worker.id, pid: worker.process.pid, code, signal, reason: failure }, 'worker ended')
    this.#failedStarts = performance.now() - startedAt < SOON_MS ? this.#failedStarts + 1 : 0
    this.#replaceAfter(pauseAfter(this.#failedStarts))
  }

  #replaceAfter(pause: number): void {
    const timer = setTimeout(() => {
      this.#pauses.delete(timer)
      this.#restarts += 1
      this.#fork()
    }, pause)
    this.#pauses.add(timer)
  }

  #stop(reason: string): void {
    this.#isStopping = true
    this.#logger.info({ reason, workers: this.#members.size }, 'stopping')
    for (const timer of this.#pauses) clearTimeout(timer)
    // One that ends before it hears of this has nothing to drain.
    for (const { peer } of this.#members.values()) peer.call('stop', reason).catch(() => {})
    if (this.#members.size === 0) this.#onEnd(this.#code)
  }

  async #sumMetrics(open: boolean): Promise<string> {
    const families = sumExpositions([
      await this.#metrics.sum(),
      single('sluice_workers', 'gauge', 'Workers that listen.', this.#listeners),
      ...Object.entries(this.#reloads).map(([result, count]) =>
        single('sluice_config_reloads', 'counter', '', count, `{result="${result}"}`),
      ),
      single('sluice_worker_restarts', 'counter', 'Workers that ended and were replaced.', this.#restarts),
    ])
    return writeExposition(families, open)
  }
}

function pauseAfter(failedStarts: number): number {
  return failedStarts === 0 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** (failedStarts - 1), LONGEST_PAUSE_MS)
}
