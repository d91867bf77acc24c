import type { Bench, StartedRelay } from './measures/measure.ts'
import { Missing, type Relay, type Running } from './peers/relay.ts'
import { Rig } from './rig.ts'

export interface BenchmarkOptions {
  quick: boolean
  dist: string
  relays: readonly Relay[]
}

/** One run: what has been started for it, and what could not be. */
export class Benchmark implements Bench {
  readonly rig: Rig
  readonly quick: boolean
  readonly dist: string
  /** One line for each relay that takes no part. */
  readonly missing: string[] = []
  readonly #relays: readonly Relay[]
  readonly #start = performance.now()
  #started: Promise<StartedRelay[]> | undefined

  private constructor(rig: Rig, { quick, dist, relays }: BenchmarkOptions) {
    this.rig = rig
    this.quick = quick
    this.dist = dist
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
    return (this.#started ??= this.#startAll())
  }

  get seconds(): number {
    return (performance.now() - this.#start) / 1000
  }

  /** Of those that were started and have one. */
  async versions(): Promise<Record<string, string>> {
    const started = (await this.#started) ?? []
    return Object.fromEntries(
      started.flatMap(({ relay, running }) => (running.version === undefined ? [] : [[relay.id, running.version]])),
    )
  }

  async stopRelays(): Promise<void> {
    const started = await this.#started?.catch(() => [])
    await Promise.all((started ?? []).map(({ running }) => running.process.stop()))
  }

  async close(): Promise<void> {
    await this.stopRelays()
    await this.rig.stop()
  }

  async #startAll(): Promise<StartedRelay[]> {
    const started: StartedRelay[] = []
    for (const relay of this.#relays) {
      if (this.quick && relay.fullOnly) {
        this.#skip(relay, 'left out of a quick run')
        continue
      }
      this.progress(`starting ${relay.id}`)
      try {
        const running = await relay.start(this.rig.upstreamPort)
        await this.#try(running)
        started.push({ relay, running })
      } catch (error) {
        // Without a peer there is less to compare with; without Sluice there is nothing to measure.
        if (relay.ours) throw error
        this.#skip(relay, error instanceof Missing ? error.message : String(error))
      }
    }
    return started
  }

  /** One short stream: what cannot do this is not measured. */
  async #try({ process, port, request }: Running): Promise<void> {
    try {
      await this.rig.open({ rate: 100, tokens: 10 }, { port, requests: [request], count: 1 })
      const { complete, sent, received } = await this.rig.finish(20_000)
      if (!complete || sent !== received) throw new Error(`it relayed ${received} of ${sent} tokens`)
    } catch (error) {
      await process.stop()
      throw error
    }
  }

  #skip({ id }: Relay, reason: string): void {
    this.missing.push(`${id}: ${reason}.`)
    this.progress(`without ${id}: ${reason}`)
  }
}
