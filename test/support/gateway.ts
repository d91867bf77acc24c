import { it, onTestFinished } from 'vitest'
import { loadConfig, type Config } from '../../src/config.ts'
import { createGateway, type Gateway, type GatewayOptions } from '../../src/gateway.ts'
import { shareMemory, shareRedis } from './nodes.ts'
import { createLogger } from '../../src/telemetry/logger.ts'

export interface TestGateway extends Gateway {
  url: string
  /** Every line logged so far, parsed. */
  logs: Record<string, unknown>[]
  /** The value of a metric (`sluice_…` with its labels as Prometheus prints them), 0 when there is none. */
  metric(line: string): Promise<number>
}

/** For tests whose clock stands still, or of what only a gateway does that shares nothing with others. */
export const itAlone = it.skipIf(process.env.TEST_STORE !== undefined)

/** What all suites keep their streams in: `TEST_STORE=redis` repeats them with Redis. */
async function storeOf(
  settings: Partial<Config>,
  { directory, bus, backplane }: GatewayOptions,
): Promise<GatewayOptions> {
  if (directory || bus || backplane) return {}
  switch (process.env.TEST_STORE) {
    case 'redis':
      return { backplane: await shareRedis(settings).connect() }
    case 'backplane':
      return { backplane: await shareMemory(settings).connect() }
    default:
      return {}
  }
}

/** A gateway on a free port, drained when the test is over. */
export async function startGateway(
  settings: Partial<Config> = {},
  { logLevel = 'info', ...options }: Omit<GatewayOptions, 'logger'> & { logLevel?: string } = {},
): Promise<TestGateway> {
  const logs: Record<string, unknown>[] = []
  const logger = createLogger(logLevel, { write: (line) => void logs.push(JSON.parse(line)) })
  // Whole configurations have a port, too.
  const config = { ...loadConfig(), drainMs: 0, ...settings, port: 0 }
  const gateway = await createGateway(config, { logger, ...(await storeOf(settings, options)), ...options })
  onTestFinished(() => gateway.drain())
  const url = await gateway.start()
  return {
    ...gateway,
    url,
    logs,
    async metric(line) {
      const text = await gateway.services.metrics.text()
      const found = text.split('\n').find((each) => each.startsWith(`${line} `))
      return found ? Number(found.slice(line.length + 1)) : 0
    },
  }
}
