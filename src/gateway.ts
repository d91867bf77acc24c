import type Koa from 'koa'
import type { Provider } from '../providers/provider.ts'
import { loadProvider, type RegisteredProvider } from '../providers/registry.ts'
import type { LimitStore } from './access/limit-store.ts'
import { MemoryLimitStore } from './access/memory-limit-store.ts'
import { SharedLimitStore } from './access/shared-limit-store.ts'
import type { Config } from './config.ts'
import { createApp } from './http/app.ts'
import { createAccess } from './gateway-access.ts'
import { createNode, type ConnectedNode } from './gateway-nodes.ts'
import { createUsageRecords } from './gateway-usage.ts'
import type { RequestState, Services } from './http/context.ts'
import { InFlight } from './http/in-flight.ts'
import { LoadGate } from './http/load-gate.ts'
import { HttpServer } from './http/server.ts'
import { protocols as builtIn } from './protocols/index.ts'
import type { ProtocolTable } from './protocols/protocol.ts'
import { ModelCatalog } from './routing/model-catalog.ts'
import { Router } from './routing/router.ts'
import { observeCatalog, observeRouting } from './telemetry/observe-routing.ts'
import { tickFor } from './sse/event-stream.ts'
import { Heartbeat } from './sse/heartbeat.ts'
import { Budget, MEMORY_KINDS } from './store/budget.ts'
import { noBus, type Bus } from './store/bus.ts'
import type { Backplane } from './store/backplane/backplane.ts'
import type { Directory } from './store/directory.ts'
import { MemoryDirectory } from './store/memory-directory.ts'
import { StreamStore } from './store/stream-store.ts'
import { FlushTimer } from './stream/event-loop.ts'
import { Generations } from './stream/generation.ts'
import { watchEventLoop } from './telemetry/process-metrics.ts'
import { knownModels, observeReaders, startAtZero } from './telemetry/observe-streams.ts'
import { createLogger, type Logger } from './telemetry/logger.ts'
import { Metrics } from './telemetry/metrics.ts'
import { SmoothedDelay } from './telemetry/smoothed-delay.ts'
import { flushSpans } from './telemetry/tracing.ts'
import { COUNT_MS } from './usage/stream-account.ts'
import { VERSION } from './version.ts'
import { within } from './within.ts'

export interface GatewayOptions {
  logger?: Logger
  /** Added to the configured providers; they take precedence when a model is looked up. */
  providers?: readonly Provider[]
  /** The supported wire formats. */
  protocols?: ProtocolTable
  /** Finds streams; by default, those in the memory of this process. */
  directory?: (config: Config, budget: Budget) => Directory
  /** Counts what callers use; by default, in the memory of this process. */
  limitStore?: (config: Config, budget: Budget) => LimitStore
  /** The metrics of all workers, of which this is one. */
  sumMetrics?: Services['sumMetrics']
  /** What is open in the other workers. */
  elsewhere?: Services['elsewhere']
  /** Connects this gateway with others that share the directory. */
  bus?: Bus
  /** Shared with other gateways, and closed with this one; by default, Redis if it is configured. */
  backplane?: Backplane
}

/** Milliseconds that readers have after the last `done` to fetch it, before their connections are closed. */
const FAREWELL_MS = 2000

/** One client address may hold this many times the free memory: at most three quarters of the total. */
const TIMES_FREE = 3

export interface Gateway {
  readonly app: Koa<RequestState>
  readonly services: Services
  /** Starts listening; resolves to the base URL. */
  start(): Promise<string>
  /** Base URL of the admin port, once it listens; undefined without one. */
  readonly adminUrl: string | undefined
  /**
   * Refuses new requests, lets running streams continue for `drainMs`, ends the rest with `gateway_shutdown`, and
   * resolves when all sockets and timers are closed. All calls return the same promise.
   */
  drain(): Promise<void>
}

/** The given providers, and those of the configuration, which replace them where they have the same name. */
async function loadProviders(
  { providers }: Config,
  given: readonly Provider[] = [],
): Promise<Map<string, RegisteredProvider>> {
  const configured = await Promise.all(
    Object.entries(providers).map(async ([name, entry]) => [name, await loadProvider(name, entry)] as const),
  )
  return new Map([...given.map((provider) => [provider.name, { provider, options: {} }] as const), ...configured])
}

function createLimitStore({ storeDown }: Config, budget: Budget, node: ConnectedNode | undefined): LimitStore {
  const local = new MemoryLimitStore(budget)
  if (!node) return local
  const { inbox: lease } = node.bus.lease
  const store = new SharedLimitStore(node.backplane, { lease, local: storeDown === 'local' ? local : undefined })
  node.bus.onForgotten(() => store.tellHeld())
  return store
}

/** Metrics that are read from the parts of the gateway. */
function watchParts({ metrics, config, store, budget, router }: Services, providers: Iterable<string>): void {
  metrics.cell('build_info', { version: VERSION }).add()
  metrics.watch('log_bytes', {}, () => store.bytes)
  metrics.cell('log_bytes_limit', {}).add(config.storeMaxBytes)
  for (const kind of MEMORY_KINDS) metrics.watch('memory_bytes', { kind }, () => budget.held(kind))
  for (const provider of providers) metrics.watch('breakers_open', { provider }, () => router.openBreakers(provider))
}

/**
 * Builds every part of a gateway and connects them.
 *
 * @throws Error when a provider or a certificate cannot be loaded, or the usage log cannot be written
 */
export async function createGateway(config: Config, options: GatewayOptions = {}): Promise<Gateway> {
  const logger = options.logger ?? createLogger(config.logLevel)
  const protocols = options.protocols ?? builtIn
  const providers = await loadProviders(config, options.providers)

  const known = knownModels(providers, config.models)
  const metrics = new Metrics(known)
  startAtZero(metrics, known, protocols.names)
  const budget = new Budget(config.storeMaxBytes, { timesFree: TIMES_FREE })
  const node = await createNode(config, options.backplane, metrics, logger)
  const directory = options.directory?.(config, budget) ?? node?.directory ?? new MemoryDirectory(config, budget)
  const bus = options.bus ?? node?.bus ?? noBus
  const store = new StreamStore({ limits: config, budget, directory, bus })
  const catalog = new ModelCatalog(config.modelsOnly ? new Map() : providers, observeCatalog(logger))
  const usage = await createUsageRecords(config, node?.backplane, metrics, logger)
  const limitStore = options.limitStore?.(config, budget) ?? createLimitStore(config, budget, node)
  const generations = new Generations()
  const loopDelay = new SmoothedDelay()
  const services: Services = {
    config,
    protocols,
    ...(await createAccess(config, limitStore, node?.backplane, metrics, logger)),
    logger,
    metrics,
    sumMetrics: options.sumMetrics,
    elsewhere: options.elsewhere,
    readers: observeReaders(metrics),
    store,
    backplane: node?.backplane,
    budget,
    router: new Router(providers, config, { catalog }),
    catalog,
    routing: observeRouting(metrics, logger),
    accounts: usage.accounts,
    ledger: usage.ledger,
    generations,
    load: new LoadGate(config, { streams: () => generations.size, delayMs: () => loopDelay.mean }),
    forwards: new InFlight(),
    heartbeat: new Heartbeat(tickFor(config.heartbeatMs, config.slowReaderMs)),
    flushTimer: config.flushIntervalMs > 0 ? new FlushTimer(config.flushIntervalMs) : undefined,
    draining: false,
  }
  bus.serve({
    cancel: (id) => void services.generations.cancel(id),
    forget: (id) => store.forgetHere(id),
    readers: (id, count) => store.setReadersElsewhere(id, count),
    withdraw: (id) => store.withdraw(id),
  })
  watchParts(services, providers.keys())
  const loopDelays = metrics.histogram('event_loop_delay_seconds', {})
  const stopWatching = watchEventLoop((delay, sinceLast) => {
    loopDelays.observe(delay / 1000)
    loopDelay.observe(delay, sinceLast)
  })
  const { app, handler } = createApp(services)
  const server = new HttpServer(config, handler)
  const { adminHost, adminPort } = config
  const admin =
    adminPort === undefined
      ? undefined
      : new HttpServer(config, createApp(services, 'admin').handler, { host: adminHost, port: adminPort })

  async function shutDown(): Promise<void> {
    services.draining = true
    logger.info({ streams: services.generations.size }, 'draining')
    await within(config.drainMs, Promise.all([services.generations.idle(), services.forwards.idle(), bus.idle()]))
    services.generations.endAll({
      type: 'done',
      finish_reason: 'error',
      error: { code: 'gateway_shutdown', message: 'The gateway was shut down.', retryable: true },
    })
    // Their tokens are counted.
    await within(2 * COUNT_MS, services.generations.idle())
    await Promise.all([server.close(FAREWELL_MS), admin?.close(FAREWELL_MS)])
    stopWatching()
    catalog.close()
    const closing = [...providers.values()].map(async ({ provider }) => provider.close?.())
    await store.close()
    await within(FAREWELL_MS, Promise.allSettled([...closing, usage.close(), limitStore.close(), flushSpans()]))
    await node?.backplane.close()
    logger.info('stopped')
  }

  /** Which provider gets the models that nothing else claims, by the protocol of the request. */
  function logCatchAll(): void {
    const catchAll = protocols.rows.map(({ name, wire }) => [name, services.router.catchAll(wire) ?? null] as const)
    if (catchAll.some(([, provider]) => provider !== null))
      logger.info({ providers: Object.fromEntries(catchAll) }, 'catch-all providers by protocol')
  }

  let adminUrl: string | undefined
  let drained: Promise<void> | undefined
  return {
    app,
    services,
    get adminUrl() {
      return adminUrl
    },
    async start() {
      logCatchAll()
      await node?.bus.start()
      adminUrl = await admin?.listen()
      return server.listen()
    },
    drain: () => (drained ??= shutDown()),
  }
}
