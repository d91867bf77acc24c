#!/usr/bin/env node
import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { findThrower } from '../providers/modules.ts'
import { callerName } from './access/access-schema.ts'
import { createKey, hashKey } from './access/api-keys.ts'
import { loadConfig, printConfig, type Config } from './config.ts'
import { ConfigError } from './errors.ts'
import { describeFatal } from './describe-fatal.ts'
import { createGateway, type GatewayOptions } from './gateway.ts'
import { recordLifetimes } from './gateway-nodes.ts'
import { openCounts } from './http/handlers/gateway-status.ts'
import { describeSettings } from './settings.ts'
import { createLogger, type Logger } from './telemetry/logger.ts'
import { withoutMessage, type ErrorPlace } from './telemetry/redact.ts'
import type { Listening } from './workers/methods.ts'
import { runPrimary } from './workers/primary.ts'
import { STOP_SIGNALS } from './workers/stop-signals.ts'
import { workerProcess, type WorkerProcess } from './workers/worker.ts'

const HELP = `Sluice, a token-streaming gateway.

Usage: sluice [options]            (from a checkout: npm start -- [options])
       sluice key create [name]    print a new API key for callers, and its hash

  --config FILE    settings in YAML; default: sluice.yaml, if there is one
  --print-config   print the settings in force, secrets masked, and exit
  --help           print this and exit

Settings, from the environment (in sluice.yaml as camelCase: heartbeatMs):

${describeSettings()}
`

/** Runs until a signal stops it; resolves to the exit code. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      config: { type: 'string' },
      'print-config': { type: 'boolean' },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  if (positionals.length > 0) {
    process.stdout.write(runCommand(positionals))
    return 0
  }
  const config = loadConfig({ environment: process.env, file: values.config })
  if (values['print-config']) {
    process.stdout.write(printConfig(config))
    return 0
  }
  const workers = config.workers === 'auto' ? availableParallelism() : config.workers
  return workers > 1 && cluster.isPrimary ? serveByWorkers(config, workers) : serve(config)
}

/** @returns what the command prints @throws ConfigError for another command */
function runCommand([noun, verb, name = 'my-app', ...rest]: readonly string[]): string {
  if (noun !== 'key' || verb !== 'create' || rest.length > 0)
    throw new ConfigError([{ path: [noun, verb, ...rest].join(' '), message: 'is not a command; try "key create"' }])
  if (!callerName.safeParse(name).success)
    throw new ConfigError([{ path: 'name', message: 'expected up to 64 letters, digits, ".", "_" and "-"' }])
  const key = createKey()
  return `# The key, for the caller; it is not shown again:
#   ${key}
# Its hash, for sluice.yaml:
keys:
  - name: ${name}
    hash: ${hashKey(key)}
`
}

/** Maximum wait for the last log lines to be written, in milliseconds. */
const LAST_LINES_MS = 1000

async function serve(config: Config): Promise<number> {
  const worker = workerProcess()
  const log = createLogger(config.logLevel)
  const logger = worker ? log.child({ worker: worker.id }) : log
  const gateway = await createGateway(config, { logger, ...(worker && workerOptions(worker, config)) })
  // Registered before the gateway listens: a signal may arrive as soon as it does.
  const stop = stopWhen(worker?.stopped ?? untilSignal(), config, logger)
  const url = await gateway.start()
  const { adminUrl, services } = gateway
  const listening = { url, adminUrl, isOpen: services.authenticator.isOpen }
  if (worker)
    await worker.listening(listening, {
      metrics: () => services.metrics.openMetrics.metrics(),
      counts: openCounts(services),
    })
  else announce(config, logger, listening)
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

async function serveByWorkers(config: Config, workers: number): Promise<number> {
  const logger = createLogger(config.logLevel)
  const stop = stopWhen(untilSignal(), config, logger)
  const code = await runPrimary({
    workers,
    maxBytes: config.storeMaxBytes,
    logger,
    stopped: stop.reason,
    onListening: (listening) => announce(config, logger, listening),
    onFailed: (reason) => void process.stderr.write(`sluice: ${reason}\n`),
  })
  await writeLastLines(logger)
  return Math.max(code, stop.exitCode())
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
  process.on('unhandledRejection', (reason) => logger.error(describeThrown(reason, config), 'unhandled rejection'))
  const thrown = new Promise<string>((resolve) =>
    process.on('uncaughtException', (error) => {
      logger.fatal(describeThrown(error, config), 'uncaught exception')
      code = 1
      resolve('uncaughtException')
    }),
  )
  return { reason: Promise.race([told, thrown]), exitCode: () => code }
}

/** Tells where the gateway is. */
function announce(config: Config, logger: Logger, { url, adminUrl, isOpen }: Listening): void {
  logger.info({ url, admin_url: adminUrl, providers: Object.keys(config.providers) }, 'listening')
  const key = isOpen ? '' : ` -H "authorization: Bearer $SLUICE_KEY"`
  process.stderr.write(`
Sluice listens on ${url}. Try:

  curl -N ${url}/v1/chat${key} -H 'content-type: application/json' -d '{"messages":[{"role":"user","content":"hi"}]}'

${config.playground ? `Or open ${adminUrl ?? url} in a browser.\n\n` : ''}Or give an SDK this base URL:

  OpenAI      ${url}/v1
  Anthropic   ${url}

`)
}

async function writeLastLines(logger: Logger): Promise<void> {
  const written = new Promise<void>((resolve) => logger.flush(() => resolve()))
  await Promise.race([written, sleep(LAST_LINES_MS)])
}

/** The plugin that threw and the location, without the message, which may quote a prompt. */
function describeThrown(thrown: unknown, { providers }: Config): { provider: string | undefined; err: ErrorPlace } {
  const err = withoutMessage(thrown)
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
