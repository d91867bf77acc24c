import { it, onTestFinished } from 'vitest'
import { loadConfig, type Config } from '../../src/config.ts'
import { createGateway, type Gateway, type GatewayOptions } from '../../src/gateway.ts'
import { shareMemory, shareRedis, takeTurns, type Shared } from './nodes.ts'
import { createLogger } from '../../src/telemetry/logger.ts'

export interface TestGateway extends Gateway {
  url: string
  /** Every line logged so far, parsed. */
  logs: Record<string, unknown>[]
  /** The value of a metric (`sluice_…` with its labels as Prometheus prints them), over all nodes; 0 when there is none. */
  metric(line: string): Promise<number>
}

/** For tests whose clock stands still, or of what only a gateway does that shares nothing with others. */
export const itAlone = it.skipIf(process.env.TEST_STORE !== undefined)

/**
 * What all suites run on. `TEST_STORE` repeats them with a backplane: `memory` or `redis` for one gateway, and
 * `memory-pair` or `redis-pair` for two behind one address that takes turns.
 */
const [store, isPair] = (process.env.TEST_STORE ?? '').split('-')

function sharedStore(settings: Partial<Config>, { directory, bus, backplane }: GatewayOptions): Shared | undefined {
  if (directory || bus || backplane) return undefined
  if (store === 'redis') return shareRedis(settings)
  return store === 'memory' ? shareMemory(settings) : undefined
}

/** A gateway on a free port, drained when the test is over. */
export async function startGateway(
  settings: Partial<Config> = {},
  { logLevel = 'info', ...options }: Omit<GatewayOptions, 'logger'> & { logLevel?: string } = {},
): Promise<TestGateway> {
  const logs: Record<string, unknown>[] = []
  const logger = createLogger(logLevel, { write: (line) => void logs.push(JSON.parse(line)) })
  // Whole configurations have a port, too.
  // A machine that runs several suites at once is slow, and not what they are about.
  const config = { ...loadConfig(), drainMs: 0, maxEventLoopDelayMs: 0, ...settings, port: 0 }
  const shared = sharedStore(settings, options)
  const create = async () =>
    createGateway(config, { logger, ...(shared && { backplane: await shared.connect() }), ...options })
  const gateway = await create()
  const gateways = shared && isPair ? [gateway, await create()] : [gateway]
  for (const each of gateways) onTestFinished(() => each.drain())
  const urls = await Promise.all(gateways.map((each) => each.start()))
  const url = isPair && shared ? await takeTurns(urls) : (urls[0] ?? '')
  return {
    ...gateway,
    get services() {
      return gateway.services
    },
    url,
    logs,
    async metric(line) {
      const texts = await Promise.all(gateways.map(({ services }) => services.metrics.text()))
      const found = texts.flatMap((text) => text.split('\n')).filter((each) => each.startsWith(`${line} `))
      return found.reduce((sum, each) => sum + Number(each.slice(line.length + 1)), 0)
    },
  }
}
