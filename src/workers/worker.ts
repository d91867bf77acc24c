import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config.ts'
import { ConfigError } from '../errors.ts'
import type { Fault } from '../faults.ts'
import type { Backplane, RecordLifetimes } from '../store/backplane/backplane.ts'
import { channelToPrimary } from './channel.ts'
import type { Listening, OpenCounts, PrimaryMethods, WorkerMethods } from './methods.ts'
import { Peer } from './peer.ts'
import { RELOAD_SIGNAL, STOP_SIGNALS } from './stop-signals.ts'
import { WorkerBackplane } from './worker-backplane.ts'

/** Tells a worker from a process that some other program, such as a process manager, runs in a cluster. */
export const WORKER_VARIABLE = 'SLUICE_WORKER'

/** How often a worker looks whether to tell the others what is open. */
const COUNT_MS = 250

/** How long a worker that cannot start tries to say why. */
const LAST_WORDS_MS = 1000

/** What a worker that listens is asked for. */
export interface WorkerReadings {
  /** Its own metrics, as OpenMetrics. */
  readonly metrics: () => Promise<string>
  readonly counts: () => OpenCounts
  /** Puts a configuration in force. @throws ConfigError when it cannot be */
  readonly reload: (config: Config) => Promise<void>
}

/** A worker's connection to its primary. Node ends the process when the primary is gone. */
export class WorkerProcess {
  /** Of the worker, in the log. */
  readonly id: number
  /** Why the worker is to drain: the primary says so, or a signal came. */
  readonly stopped: Promise<string>
  readonly #peer: Peer<PrimaryMethods>
  #backplane: WorkerBackplane | undefined
  #readMetrics: () => Promise<string> = async () => ''
  readonly #reload: Promise<WorkerReadings['reload']>
  #onReload: (reload: WorkerReadings['reload']) => void = () => {}
  #elsewhere: OpenCounts = { connections: 0, streams: 0 }

  constructor(id: number) {
    this.id = id
    let stop: (reason: string) => void = () => {}
    this.stopped = new Promise((resolve) => (stop = resolve))
    // A signal may come to all processes of a group. The primary counts them, and ends at the second one.
    for (const name of STOP_SIGNALS) process.on(name, () => stop(name))
    // The primary reads the configuration for all.
    process.on(RELOAD_SIGNAL, () => {})
    this.#reload = new Promise((resolve) => (this.#onReload = resolve))
    const methods: WorkerMethods = {
      deliver: async (...delivery) => this.#backplane?.deliver(...delivery),
      stop: async (reason) => stop(reason),
      reload: (config) => this.#tryReload(config),
      elsewhere: async (counts) => void (this.#elsewhere = counts),
      metrics: () => this.#readMetrics(),
    }
    this.#peer = new Peer<PrimaryMethods>(channelToPrimary(), methods)
  }

  /** The configuration in force. */
  config(): Promise<Config> {
    return this.#peer.call('config')
  }

  /** What all workers share, in the memory of the primary. */
  createBackplane(lifetimes: RecordLifetimes): Backplane {
    return (this.#backplane = new WorkerBackplane(this.#peer, lifetimes))
  }

  /** The metrics of all workers together, as OpenMetrics if `open`. */
  readonly sumMetrics = (open: boolean): Promise<string> => this.#peer.call('sumMetrics', open)

  /** What is open in all other workers, as it was a moment ago. */
  readonly elsewhere = (): OpenCounts => this.#elsewhere

  async listening(listening: Listening, readings: WorkerReadings): Promise<void> {
    this.#readMetrics = readings.metrics
    this.#onReload(readings.reload)
    await this.#peer.call('listening', listening)
    this.#tellCounts(readings.counts)
  }

  async #tryReload(config: Config): Promise<readonly Fault[]> {
    const reload = await this.#reload
    try {
      await reload(config)
      return []
    } catch (error) {
      if (error instanceof ConfigError) return error.faults
      throw error
    }
  }

  #tellCounts(read: () => OpenCounts): void {
    let told: OpenCounts = { connections: 0, streams: 0 }
    const timer = setInterval(() => {
      const counts = read()
      if (counts.connections === told.connections && counts.streams === told.streams) return
      told = counts
      this.#peer.call('counts', counts).catch(() => {})
    }, COUNT_MS)
    timer.unref()
  }

  /** Says why it cannot start. */
  async failed(reason: string): Promise<void> {
    await Promise.race([this.#peer.call('failed', reason).catch(() => {}), sleep(LAST_WORDS_MS)])
  }
}

let own: WorkerProcess | undefined

/** Of this process; undefined when it is no worker. */
export function workerProcess(): WorkerProcess | undefined {
  if (!cluster.worker || process.env[WORKER_VARIABLE] === undefined) return undefined
  return (own ??= new WorkerProcess(cluster.worker.id))
}
