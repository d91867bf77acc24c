import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { loadConfig, type Config } from '../../src/config.ts'
import { recordLifetimes } from '../../src/gateway-nodes.ts'
import type { Backplane } from '../../src/store/backplane/backplane.ts'
import { MemoryBackplane } from '../../src/store/backplane/memory-backplane.ts'
import { RedisBackplane } from '../../src/store/backplane/redis-backplane.ts'
import { parseRedisUrl } from '../../src/store/backplane/redis-url.ts'
import { sharedRedis } from './redis.ts'

/** What several gateways share: each call of `connect` is the connection of one more. */
export interface Shared {
  connect(): Promise<Backplane>
}

type Settings = Partial<Config>

export function shareMemory(settings: Settings = {}): Shared {
  const memory = new MemoryBackplane(recordLifetimes({ ...loadConfig(), ...settings }))
  return { connect: async () => unclosed(memory) }
}

/** In the Redis of this worker, with keys of their own. */
export function shareRedis(settings: Settings = {}, url?: string): Shared {
  const prefix = `test:${Math.random()}:`
  return {
    async connect() {
      const address = parseRedisUrl(url ?? (await sharedRedis()).url)
      const lifetimes = recordLifetimes({ ...loadConfig(), ...settings })
      const backplane = new RedisBackplane(address, { ...lifetimes, prefix, onFault: () => {} })
      onTestFinished(() => backplane.close())
      await backplane.connect()
      return backplane
    },
  }
}

/** The others may use it when one gateway has closed it. */
function unclosed(backplane: Backplane): Backplane {
  return override(backplane, { close: async () => {} })
}

function override(backplane: Backplane, overrides: Partial<Backplane>): Backplane {
  return new Proxy(backplane, {
    get(target, name) {
      if (Object.hasOwn(overrides, name)) return Reflect.get(overrides, name)
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** A backplane that can be away. */
export class Outage {
  isAway = false
  readonly #listeners: ((isUp: boolean) => void)[] = []

  begin(): void {
    this.isAway = true
    for (const listener of this.#listeners) listener(false)
  }

  end(): void {
    this.isAway = false
    for (const listener of this.#listeners) listener(true)
  }

  /** The same backplane, away during the outage. */
  of(backplane: Backplane): Backplane {
    const isAway = () => this.isAway
    const listeners = this.#listeners
    return new Proxy(backplane, {
      get(target, name) {
        if (name === 'isUp') return !isAway() && target.isUp
        if (name === 'onChange') return (listener: (isUp: boolean) => void) => void listeners.push(listener)
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) =>
          isAway() && name !== 'listen' && name !== 'close'
            ? Promise.reject(new Error('connect ECONNREFUSED'))
            : value.apply(target, args)
      },
    })
  }
}

/** One address for several gateways: each connection goes to the next one. */
export async function takeTurns(urls: readonly string[]): Promise<string> {
  let turn = 0
  const server = createServer({ noDelay: true }, (client) => {
    const { hostname, port } = new URL(urls[turn++ % urls.length] ?? '')
    const upstream = connect({ host: hostname, port: Number(port), noDelay: true })
    client.pipe(upstream).pipe(client)
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      socket.on('error', () => other.destroy())
      socket.on('close', () => other.destroy())
    }
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const url = new URL(urls[0] ?? '')
  url.port = String((server.address() as AddressInfo).port)
  return url.origin
}
