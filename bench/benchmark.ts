import type { Bench, StartedRelay } from './measures/measure.ts'
import { Missing, type Relay, type Subject } from './peers/relay.ts'
import { Rig } from './rig.ts'

export interface BenchmarkOptions {
  quick: boolean
  dist: string
  node: string
  relays: readonly Relay[]
}

/** One run: what has been started for it, and what could not be. */
export class Benchmark implements Bench {
  readonly rig: Rig
  readonly quick: boolean
  readonly dist: string
  readonly node: string
  /** One line for each relay that takes no part. */
  readonly missing: string[] = []
  readonly #relays: readonly Relay[]
  readonly #openedAt = performance.now()
  readonly #started = new Map<Relay, Promise<StartedRelay | undefined>>()

  private constructor(rig: Rig, { quick, dist, node, relays }: BenchmarkOptions) {
    this.rig = rig
    this.quick = quick
    this.dist = dist
    this.node = node
    this.#relays = relays
  }

  static async open(options: BenchmarkOptions): Promise<Benchmark> {
    return new Benchmark(await Rig.start(), options)
  }

  readonly choose = <T>(full: T, quick: T): T => (this.quick ? quick : full)

  readonly progress = (text: string): void => {
    const seconds = Math.round(this.seconds)
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
    process.stderr.write(`[${time.padStart(5)}] ${text}\n`)
  }

  relays(): Promise<StartedRelay[]> {
    return this.#startAll(this.#relays)
  }

  openers(): Promise<StartedRelay[]> {
    const relays = this.#relays.filter(({ relayingOnly = false }) => !relayingOnly)
    return this.#startAll(relays.map((relay) => relay.guarded ?? relay))
  }

  get seconds(): number {
    return (performance.now() - this.#openedAt) / 1000
  }

  /** Of those that were started and have one. */
  async versions(): Promise<Record<string, string>> {
    return Object.fromEntries(
      (await this.#running()).flatMap(({ relay, running }) =>
        running.version === undefined ? [] : [[relay.id, running.version]],
      ),
    )
  }

  async stopRelays(): Promise<void> {
    await Promise.all((await this.#running()).map(({ running }) => running.process.stop()))
  }

  async close(): Promise<void> {
    await this.stopRelays()
    await this.rig.stop()
  }

  async #startAll(relays: readonly Relay[]): Promise<StartedRelay[]> {
    const all: StartedRelay[] = []
    for (const relay of relays) {
      const starting = this.#started.get(relay) ?? this.#start(relay)
      this.#started.set(relay, starting)
      const started = await starting
      if (started) all.push(started)
    }
    return all
  }

  /** Undefined for a peer that cannot be had. */
  async #start(relay: Relay): Promise<StartedRelay | undefined> {
    if (this.quick && relay.fullOnly) return this.#skip(relay, 'left out of a quick run')
    this.progress(`starting ${relay.id}`)
    try {
      const running = await relay.start({ upstreamPort: this.rig.upstreamPort, node: this.node })
      await this.#try(running)
      return { relay, running }
    } catch (error) {
      // Without a peer there is less to compare with; without Sluice there is nothing to measure.
      if (relay.ours) throw error
      return this.#skip(relay, error instanceof Missing ? error.message : String(error))
    }
  }

  /** All that have been started. */
  async #running(): Promise<StartedRelay[]> {
    const settled = await Promise.allSettled(this.#started.values())
    return settled.flatMap((each) => (each.status === 'fulfilled' && each.value ? [each.value] : []))
  }

  /** One short stream: what cannot do this is not measured. */
  async #try({ process, port, request }: Subject): Promise<void> {
    try {
      await this.rig.open({ rate: 100, tokens: 10 }, { port, requests: [request], count: 1 })
      const { complete, sent, received } = await this.rig.finish(20_000)
      if (!complete || sent !== received) throw new Error(`it relayed ${received} of ${sent} tokens`)
    } catch (error) {
      await process.stop()
      throw error
    }
  }

  #skip({ id }: Relay, reason: string): undefined {
    this.missing.push(`${id}: ${reason}.`)
    this.progress(`without ${id}: ${reason}`)
  }
}
