#!/usr/bin/env node
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { findThrower } from '../providers/modules.ts'
import { callerName } from './access/access-schema.ts'
import { createKey, hashKey } from './access/api-keys.ts'
import { loadConfig, printConfig, type Config } from './config.ts'
import { ConfigError } from './errors.ts'
import { describeFatal } from './describe-fatal.ts'
import { createGateway } from './gateway.ts'
import { describeSettings } from './settings.ts'
import { withoutMessage, type ErrorPlace } from './telemetry/redact.ts'

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
  return serve(config)
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

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** Maximum wait for the last log lines to be written, in milliseconds. */
const LAST_LINES_MS = 1000

async function serve(config: Config): Promise<number> {
  const gateway = await createGateway(config)
  const { logger } = gateway.services
  let code = 0
  // Registered before the gateway listens: a signal may arrive as soon as it does.
  const stop = new Promise<string>((resolve) => {
    let signals = 0
    for (const name of STOP_SIGNALS)
      process.on(name, () => {
        signals += 1
        // A second signal exits at once.
        if (signals > 1) process.exit(1)
        resolve(name)
      })
    process.on('uncaughtException', (error) => {
      logger.fatal(describeThrown(error, config), 'uncaught exception')
      code = 1
      resolve('uncaughtException')
    })
  })
  // Affects one stream, which its timeouts end; the others continue.
  process.on('unhandledRejection', (reason) => logger.error(describeThrown(reason, config), 'unhandled rejection'))
  const url = await gateway.start()
  const { adminUrl, services } = gateway
  logger.info({ url, admin_url: adminUrl, providers: Object.keys(config.providers) }, 'listening')
  const key = services.authenticator.isOpen ? '' : ` -H "authorization: Bearer $SLUICE_KEY"`
  process.stderr.write(`
Sluice listens on ${url}. Try:

  curl -N ${url}/v1/chat${key} -H 'content-type: application/json' -d '{"messages":[{"role":"user","content":"hi"}]}'

${config.playground ? `Or open ${adminUrl ?? url} in a browser.\n\n` : ''}Or give an SDK this base URL:

  OpenAI      ${url}/v1
  Anthropic   ${url}

`)
  logger.info({ reason: await stop }, 'stopping')
  await gateway.drain()
  const written = new Promise<void>((resolve) => logger.flush(() => resolve()))
  await Promise.race([written, sleep(LAST_LINES_MS)])
  return code
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
  process.stderr.write(`sluice: ${describeFatal(error)}\n`)
  process.exit(1)
}
