import { Redis } from 'ioredis'
import { findProgram } from '../find-program.ts'
import { freePort, LOAD_CORE, PinnedProcess, temporaryFolder, untilListening } from '../processes.ts'

/** What Redis has done since it started. */
export interface RedisReading {
  /** Commands that gateways have sent. */
  calls: number
  /** From clients, and to them. */
  bytesIn: number
  bytesOut: number
  cpuSeconds: number
}

/** What gateways send for tokens. What scripts call is counted under its own name, and none of them calls these. */
const CALLS: ReadonlySet<string> = new Set(['evalsha', 'eval', 'xread', 'xrange', 'mget'])

/** A redis-server that keeps nothing on disk, beside the load. */
export class RedisUnderTest {
  readonly process: PinnedProcess
  readonly url: string
  readonly #client: Redis

  private constructor(process: PinnedProcess, port: number) {
    this.process = process
    this.url = `redis://127.0.0.1:${port}`
    this.#client = new Redis({ port, host: '127.0.0.1' })
  }

  /** @throws Missing when redis-server is not installed */
  static async start(core: number | string = LOAD_CORE): Promise<RedisUnderTest> {
    const program = findProgram('redis-server', 'redis-server')
    const port = await freePort()
    const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no']
    const child = new PinnedProcess(program, args, { core, cwd: temporaryFolder() })
    await untilListening(child, port)
    return new RedisUnderTest(child, port)
  }

  async version(): Promise<string> {
    return field(await this.#client.info('server'), 'redis_version')
  }

  /** What this takes of Redis is the same every time, so that `during` can leave it out. */
  async look(): Promise<RedisReading> {
    const [commands, stats] = [await this.#client.info('commandstats'), await this.#client.info('stats')]
    let calls = 0
    for (const [, name = '', count] of commands.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm))
      if (CALLS.has(name)) calls += Number(count)
    return {
      calls,
      bytesIn: Number(field(stats, 'total_net_input_bytes')),
      bytesOut: Number(field(stats, 'total_net_output_bytes')),
      cpuSeconds: this.process.cpuSeconds(),
    }
  }

  /** What it did while `work` ran, without what it takes to look. */
  async during(work: () => Promise<unknown>): Promise<RedisReading> {
    const looked = difference(await this.look(), await this.look())
    const before = await this.look()
    await work()
    return difference(looked, difference(before, await this.look()))
  }

  /** Connections of gateways. */
  async connections(): Promise<number> {
    const list = String(await this.#client.client('LIST'))
    return [...list.matchAll(/ name=sluice /g)].length
  }

  /** Memory of a key, in bytes; 0 when there is none. */
  async memoryOf(key: string): Promise<number> {
    return (await this.#client.memory('USAGE', key, 'SAMPLES', 0)) ?? 0
  }

  keys(pattern: string): Promise<string[]> {
    return this.#client.keys(pattern)
  }

  /** Forgets everything. */
  async flush(): Promise<void> {
    await this.#client.flushall()
  }

  async stop(): Promise<void> {
    this.#client.disconnect()
    await this.process.stop()
  }
}

function difference(before: RedisReading, after: RedisReading): RedisReading {
  return {
    calls: after.calls - before.calls,
    bytesIn: after.bytesIn - before.bytesIn,
    bytesOut: after.bytesOut - before.bytesOut,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
  }
}

function field(info: string, name: string): string {
  return new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim() ?? ''
}
