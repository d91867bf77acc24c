import type Koa from 'koa'
import type { Provider } from '../providers/provider.ts'
import type { RegisteredProvider } from '../providers/registry.ts'
import type { LimitStore } from './access/limit-store.ts'
import { MemoryLimitStore } from './access/memory-limit-store.ts'
import { SharedLimitStore } from './access/shared-limit-store.ts'
import { listSecrets, type Config, type LastingConfig } from './config.ts'
import { ConfigError } from './errors.ts'
import { createAccess } from './gateway-access.ts'
import { createNode, type ConnectedNode } from './gateway-nodes.ts'
import { Ports } from './gateway-ports.ts'
import { createRouting, replacedProviders } from './gateway-routing.ts'
import { createUsageRecords } from './gateway-usage.ts'
import { readCertificate } from './http/certificate.ts'
import type { ReplaceableServices, RequestState, Services } from './http/context.ts'
import { InFlight } from './http/in-flight.ts'
import { LoadGate } from './http/load-gate.ts'
import { protocols as builtIn } from './protocols/index.ts'
import type { ProtocolTable } from './protocols/protocol.ts'
import { lastingChanges, RELOAD_RESULTS } from './reload.ts'
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
import { errorDescriber } from './telemetry/describe-error.ts'
import { createStandardLogger, type Logger } from './telemetry/logger.ts'
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
  /** How often the files of the certificate are looked at, in milliseconds. */
  certificateLookMs?: number
}

/** Milliseconds that readers have after the last `done` to fetch it, before their connections are closed. */
const FAREWELL_MS = 2000

/** How long a request may take that began before a reload; its stream may take longer. */
const LAST_REQUESTS_MS = 600_000

/** One client address may hold this many times the free memory: at most three quarters of the total. */
const TIMES_FREE = 3

export interface Gateway {
  /** Of the configuration in force, as are the services. */
  readonly app: Koa<RequestState>
  readonly services: Services
  /** Starts listening; resolves to the base URL. */
  start(): Promise<string>
  /** Base URL of the admin port, once it listens; undefined without one. */
  readonly adminUrl: string | undefined
  /**
   * Serves requests from now on by another configuration; what runs goes on by the one that it began with. Changes
   * everything or nothing.
   *
   * @throws ConfigError when a setting would have changed that cannot, or a provider or a certificate cannot be loaded
   */
  reload(config: Config): Promise<void>
  /**
   * Refuses new requests, lets running streams continue for `drainMs`, ends the rest with `gateway_shutdown`, and
   * resolves when all sockets and timers are closed. All calls return the same promise.
   */
  drain(): Promise<void>
}

function createLimitStore({ storeDown }: LastingConfig, budget: Budget, node: ConnectedNode | undefined): LimitStore {
  const local = new MemoryLimitStore(budget)
  if (!node) return local
  const { inbox: lease } = node.bus.lease
  const store = new SharedLimitStore(node.backplane, { lease, local: storeDown === 'local' ? local : undefined })
  node.bus.onForgotten(() => store.tellHeld())
  return store
}

/** Metrics that are read from the parts of the gateway that last. */
function watchParts({ metrics, config, store, budget }: Services): void {
  metrics.cell('build_info', { version: VERSION }).add()
  metrics.watch('log_bytes', {}, () => store.bytes)
  metrics.cell('log_bytes_limit', {}).add(config.storeMaxBytes)
  for (const result of RELOAD_RESULTS) metrics.cell('config_reloads_total', { result })
  for (const kind of MEMORY_KINDS) metrics.watch('memory_bytes', { kind }, () => budget.held(kind))
}

/**
 * Builds every part of a gateway and connects them.
 *
 * @throws Error when a provider or a certificate cannot be loaded, or the usage log cannot be written
 */
export async function createGateway(config: Config, options: GatewayOptions = {}): Promise<Gateway> {
  const logger = options.logger ?? createStandardLogger(config)
  const protocols = options.protocols ?? builtIn
  const metrics = new Metrics()
  const budget = new Budget(config.storeMaxBytes, { timesFree: TIMES_FREE })
  const node = await createNode(config, options.backplane, metrics, logger)
  const directory = options.directory?.(config, budget) ?? node?.directory ?? new MemoryDirectory(config, budget)
  const bus = options.bus ?? node?.bus ?? noBus
  const store = new StreamStore({ limits: config, budget, directory, bus })
  const usage = await createUsageRecords(config, node?.backplane, metrics, logger)
  const limitStore = options.limitStore?.(config, budget) ?? createLimitStore(config, budget, node)
  const generations = new Generations()
  const loopDelay = new SmoothedDelay()
  let draining = false
  const lasting: Omit<Services, keyof ReplaceableServices | 'draining'> = {
    protocols,
    logger,
    metrics,
    sumMetrics: options.sumMetrics,
    elsewhere: options.elsewhere,
    startedAt: Date.now(),
    readers: observeReaders(metrics),
    store,
    backplane: node?.backplane,
    budget,
    routing: observeRouting(
      metrics,
      logger,
      errorDescriber(logger, () => listSecrets(services.config)),
    ),
    ledger: usage.ledger,
    generations,
    forwards: new InFlight(),
    heartbeat: new Heartbeat(tickFor(config.heartbeatMs, config.slowReaderMs)),
    flushTimer: config.flushIntervalMs > 0 ? new FlushTimer(config.flushIntervalMs) : undefined,
  }

  /** What a configuration makes of the services, out of those before; these stay as they are. */
  async function createServices(inForce: Config, before?: Services): Promise<Services> {
    const accessBase = { limitStore, backplane: node?.backplane, metrics, logger }
    return {
      ...lasting,
      config: inForce,
      ...(await createAccess(inForce, accessBase, before)),
      ...(await createRouting(inForce, options.providers ?? [], observeCatalog(logger), before)),
      accounts: usage.accountsOf(inForce),
      load: new LoadGate(inForce, { streams: () => generations.size, delayMs: () => loopDelay.mean }),
      get draining() {
        return draining
      },
      set draining(value) {
        draining = value
      },
    }
  }

  const firstCertificate = readCertificate(config)
  let services = await createServices(config)
  const ports = new Ports(services, firstCertificate, options.certificateLookMs)
  /** All that have been loaded and not closed. */
  const providers = new Set<RegisteredProvider>()
  bus.serve({
    cancel: (id) => void generations.cancel(id),
    forget: (id) => store.forgetHere(id),
    readers: (id, count) => store.setReadersElsewhere(id, count),
    withdraw: (id) => store.withdraw(id),
  })
  watchParts(services)
  watchProviders()
  const loopDelays = metrics.histogram('event_loop_delay_seconds', {})
  const stopWatching = watchEventLoop((delay, sinceLast) => {
    loopDelays.observe(delay / 1000)
    loopDelay.observe(delay, sinceLast)
  })

  /** Series of the providers in force start at zero. */
  function watchProviders(): void {
    const { router } = services
    const known = knownModels(router.registered, services.config.models)
    metrics.knowModels(known)
    startAtZero(metrics, known, protocols.names)
    for (const [name, registered] of router.registered) {
      providers.add(registered)
      metrics.watch('breakers_open', { provider: name }, () => services.router.openBreakers(name))
    }
  }

  /** Which provider gets the models that nothing else claims, by the protocol of the request. */
  function logCatchAll(): void {
    const catchAll = protocols.rows.map(({ name, wire }) => [name, services.router.catchAll(wire) ?? null] as const)
    if (catchAll.some(([, provider]) => provider !== null))
      logger.info({ providers: Object.fromEntries(catchAll) }, 'catch-all providers by protocol')
  }

  async function replace(changed: Config): Promise<void> {
    const before = services
    const faults = lastingChanges(before.config, changed)
    if (faults.length > 0) throw new ConfigError(faults)
    const certificate = readCertificate(changed)
    const next = await createServices(changed, before)
    // From here on nothing fails, and nothing waits.
    services = next
    ports.use(next, certificate)
    if (changed.logLevel !== before.config.logLevel) logger.level = changed.logLevel
    watchProviders()
    logCatchAll()
    before.catalog.close()
    void closeReplaced(before)
  }

  /** Closes the providers that were replaced, once nothing uses them that began before. */
  async function closeReplaced(before: Services): Promise<void> {
    const replaced = replacedProviders(services, before)
    if (replaced.length === 0) return
    await within(LAST_REQUESTS_MS, ports.answered())
    await generations.currentEnded()
    await closeProviders(replaced)
  }

  async function closeProviders(closing: Iterable<RegisteredProvider>): Promise<void> {
    await Promise.allSettled(
      [...closing].map(async (registered) => {
        if (providers.delete(registered)) await registered.provider.close?.()
      }),
    )
  }

  async function shutDown(): Promise<void> {
    draining = true
    logger.info({ streams: generations.size }, 'draining')
    await within(services.config.drainMs, Promise.all([generations.idle(), services.forwards.idle(), bus.idle()]))
    generations.endAll({
      type: 'done',
      finish_reason: 'error',
      error: { code: 'gateway_shutdown', message: 'The gateway was shut down.', retryable: true },
    })
    // Their tokens are counted.
    await within(2 * COUNT_MS, generations.idle())
    await ports.close(FAREWELL_MS)
    stopWatching()
    services.catalog.close()
    const closing = closeProviders(providers)
    await store.close()
    await within(FAREWELL_MS, Promise.allSettled([closing, usage.close(), limitStore.close(), flushSpans()]))
    await node?.backplane.close()
    logger.info('stopped')
  }

  let reloaded = Promise.resolve()
  let drained: Promise<void> | undefined
  return {
    get app() {
      return ports.app
    },
    get services() {
      return services
    },
    get adminUrl() {
      return ports.adminUrl
    },
    async start() {
      logCatchAll()
      await node?.bus.start()
      return ports.listen()
    },
    reload(changed) {
      const result = reloaded.then(() => replace(changed))
      reloaded = result.catch(() => {})
      return result
    },
    drain: () => (drained ??= shutDown()),
  }
}
