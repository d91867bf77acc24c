#!/usr/bin/env node
import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { findThrower } from '../providers/modules.ts'
import { banner } from './banner.ts'
import { readCommand } from './commands.ts'
import { listSecrets, type Config } from './config.ts'
import { describeFatal } from './describe-fatal.ts'
import { createGateway, type Gateway, type GatewayOptions } from './gateway.ts'
import { recordLifetimes } from './gateway-nodes.ts'
import { openCounts } from './http/handlers/gateway-status.ts'
import { Reloader, type ReloaderOptions } from './reload.ts'
import { createStandardLogger, type Logger } from './telemetry/logger.ts'
import { errorDescriber } from './telemetry/describe-error.ts'
import type { ErrorPlace } from './telemetry/redact.ts'
import type { Listening } from './workers/methods.ts'
import { Primary } from './workers/primary.ts'
import { RELOAD_SIGNAL, STOP_SIGNALS } from './workers/stop-signals.ts'
import { workerProcess, type WorkerProcess } from './workers/worker.ts'

/** Runs until a signal stops it, if it serves; resolves to the exit code. */
async function main(): Promise<number> {
  const worker = workerProcess()
  if (worker) return serve(await worker.config(), worker)
  const command = await readCommand(process.argv.slice(2))
  if ('prints' in command) {
    process.stdout.write(command.prints)
    return command.code
  }
  const reads = command.serves
  const config = reads()
  const workers = config.workers === 'auto' ? availableParallelism() : config.workers
  return workers > 1 && cluster.isPrimary ? serveByWorkers(config, reads, workers) : serveAlone(config, reads)
}

/** Maximum wait for the last log lines to be written, in milliseconds. */
const LAST_LINES_MS = 1000

/** In the only process. */
async function serveAlone(config: Config, read: () => Config): Promise<number> {
  const logger = createStandardLogger(config)
  const creating = createGateway(config, { logger })
  reloadOnSignal({
    read,
    apply: async (next) => (await creating).reload(next),
    onResult: async (result) => (await creating).services.metrics.cell('config_reloads_total', { result }).add(),
    logger,
  })
  const stop = stopWhen(untilSignal(), config, logger)
  const gateway = await creating
  await gateway.start().then((url) => announce(config, logger, describe(gateway, url)))
  return drain(gateway, stop, logger)
}

/** In one of several processes. */
async function serve(config: Config, worker: WorkerProcess): Promise<number> {
  const logger = createStandardLogger(config).child({ worker: worker.id })
  const gateway = await createGateway(config, { logger, ...workerOptions(worker, config) })
  const stop = stopWhen(worker.stopped, config, logger)
  const url = await gateway.start()
  await worker.listening(describe(gateway, url), {
    metrics: () => gateway.services.metrics.openMetrics.metrics(),
    counts: openCounts(gateway.services),
    reload: (next) => gateway.reload(next),
  })
  return drain(gateway, stop, logger)
}

function describe({ adminUrl, services: { authenticator, config, router } }: Gateway, url: string): Listening {
  const model = config.defaultModel === undefined ? router.models()[0]?.id : ''
  return { url, adminUrl, isOpen: authenticator.isOpen, model }
}

async function drain(gateway: Gateway, stop: Stop, logger: Logger): Promise<number> {
  logger.info({ reason: await stop.reason }, 'stopping')
  await gateway.drain()
  await writeLastLines(logger)
  return stop.exitCode()
}

/** What connects a worker with the others: its primary, and also Redis if there is one. */
function workerOptions(worker: WorkerProcess, config: Config): GatewayOptions {
  const { sumMetrics, elsewhere } = worker
  if (config.redisUrl) return { sumMetrics, elsewhere }
  return { sumMetrics, elsewhere, backplane: worker.createBackplane(recordLifetimes(config)) }
}

async function serveByWorkers(config: Config, read: () => Config, workers: number): Promise<number> {
  const logger = createStandardLogger(config)
  const stop = stopWhen(untilSignal(), config, logger)
  const primary = new Primary({
    workers,
    config,
    logger,
    stopped: stop.reason,
    onListening: (listening) => announce(config, logger, listening),
    onFailed: (reason) => void process.stderr.write(`sluice: ${reason}\n`),
  })
  reloadOnSignal({
    read,
    apply: async (next) => {
      await primary.reload(next)
      logger.level = next.logLevel
    },
    onResult: (result) => primary.countReload(result),
    logger,
  })
  const code = await primary.run()
  await writeLastLines(logger)
  return Math.max(code, stop.exitCode())
}

/** Without a listener, the signal would end the process. */
function reloadOnSignal(options: ReloaderOptions): void {
  const reloader = new Reloader(options)
  process.on(RELOAD_SIGNAL, () => reloader.request())
}

/** Resolves to the first signal; the second one ends the process at once. */
function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    let signals = 0
    for (const name of STOP_SIGNALS)
      process.on(name, () => {
        signals += 1
        if (signals > 1) process.exit(1)
        resolve(name)
      })
  })
}

interface Stop {
  /** Why the process is to drain. */
  readonly reason: Promise<string>
  readonly exitCode: () => number
}

/** Of a process that drains when it is told to, or after an uncaught exception. */
function stopWhen(told: Promise<string>, config: Config, logger: Logger): Stop {
  let code = 0
  // Affects one stream, which its timeouts end; the others continue.
  const describeError = errorDescriber(logger, () => listSecrets(config))
  const describeThrown = (thrown: unknown) => locate(describeError(thrown), config)
  process.on('unhandledRejection', (reason) => logger.error(describeThrown(reason), 'unhandled rejection'))
  const thrown = new Promise<string>((resolve) =>
    process.on('uncaughtException', (error) => {
      logger.fatal(describeThrown(error), 'uncaught exception')
      code = 1
      resolve('uncaughtException')
    }),
  )
  return { reason: Promise.race([told, thrown]), exitCode: () => code }
}

/** Tells where the gateway is. */
function announce(config: Config, logger: Logger, listening: Listening): void {
  const { url, adminUrl } = listening
  logger.info({ url, admin_url: adminUrl, providers: Object.keys(config.providers) }, 'listening')
  process.stderr.write(banner(listening, config.playground))
}

async function writeLastLines(logger: Logger): Promise<void> {
  const written = new Promise<void>((resolve) => logger.flush(() => resolve()))
  await Promise.race([written, sleep(LAST_LINES_MS)])
}

/** The plugin that threw, and the location. */
function locate(err: ErrorPlace, { providers }: Config): { provider: string | undefined; err: ErrorPlace } {
  return { provider: findThrower(err.stack ?? '', providers), err }
}

// A closed stdout or stderr must not stop the gateway.
for (const output of [process.stdout, process.stderr]) output.on('error', () => {})

try {
  process.exit(await main())
} catch (error) {
  const reason = describeFatal(error)
  const worker = workerProcess()
  // The primary reports it, once for all workers.
  if (worker) await worker.failed(reason)
  else process.stderr.write(`sluice: ${reason}\n`)
  process.exit(1)
}
