import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backplane, RecordLifetimes } from '../store/backplane/backplane.ts'
import { channelToPrimary } from './channel.ts'
import type { Listening, PrimaryMethods, WorkerMethods } from './methods.ts'
import { Peer } from './peer.ts'
import { STOP_SIGNALS } from './stop-signals.ts'
import { WorkerBackplane } from './worker-backplane.ts'

/** Tells a worker from a process that some other program, such as a process manager, runs in a cluster. */
export const WORKER_VARIABLE = 'SLUICE_WORKER'

/** How long a worker that cannot start tries to say why. */
const LAST_WORDS_MS = 1000

/** What a worker has of its primary. Node ends the process when the primary is gone. */
export class WorkerProcess {
  /** Of the worker, in the log. */
  readonly id: number
  /** Why the worker is to drain: the primary says so, or a signal came. */
  readonly stopped: Promise<string>
  readonly #peer: Peer<PrimaryMethods>
  #backplane: WorkerBackplane | undefined
  #readMetrics: () => Promise<string> = async () => ''

  constructor(id: number) {
    this.id = id
    let stop: (reason: string) => void = () => {}
    this.stopped = new Promise((resolve) => (stop = resolve))
    // A signal may come to all processes of a group. The primary counts them, and ends at the second one.
    for (const name of STOP_SIGNALS) process.on(name, () => stop(name))
    const methods: WorkerMethods = {
      deliver: async (...delivery) => this.#backplane?.deliver(...delivery),
      stop: async (reason) => stop(reason),
      metrics: () => this.#readMetrics(),
    }
    this.#peer = new Peer<PrimaryMethods>(channelToPrimary(), methods)
  }

  /** What all workers share, in the memory of the primary. */
  createBackplane(lifetimes: RecordLifetimes): Backplane {
    return (this.#backplane = new WorkerBackplane(this.#peer, lifetimes))
  }

  /** The metrics of all workers together, as OpenMetrics if `open`. */
  readonly sumMetrics = (open: boolean): Promise<string> => this.#peer.call('sumMetrics', open)

  /** @param readMetrics gets those of this worker, as OpenMetrics */
  async listening(listening: Listening, readMetrics: () => Promise<string>): Promise<void> {
    this.#readMetrics = readMetrics
    await this.#peer.call('listening', listening)
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
