#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { describeSettings, loadConfig, printConfig, type Config } from './config.ts'
import { ConfigError } from './errors.ts'
import { createGateway } from './gateway.ts'

const HELP = `Sluice, a token-streaming gateway.

Usage: sluice [options]            (from a checkout: npm start -- [options])

  --config FILE    settings in YAML; default: sluice.yaml, if there is one
  --print-config   print the settings in force, secrets masked, and exit
  --help           print this and exit

Settings, from the environment (in sluice.yaml as camelCase: heartbeatMs):

${describeSettings()}
`

/** Runs until told to stop; resolves to the exit code. */
async function main(): Promise<number> {
  const { values } = parseArgs({
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
  const config = loadConfig({ environment: process.env, file: values.config })
  if (values['print-config']) {
    process.stdout.write(printConfig(config))
    return 0
  }
  return serve(config)
}

async function serve(config: Config): Promise<number> {
  const gateway = await createGateway(config)
  // Before anybody can know that it listens: a signal must find its handler.
  const stop = new Promise<NodeJS.Signals>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, resolve)
  })
  const url = await gateway.start()
  gateway.services.logger.info({ url, providers: Object.keys(config.providers) }, 'listening')
  process.stderr.write(`
Sluice listens on ${url}. Try:

  curl -N ${url}/v1/chat -H 'content-type: application/json' -d '{"messages":[{"role":"user","content":"hi"}]}'

${config.playground ? `Or open ${url} in a browser.\n\n` : ''}Or give an SDK this base URL:

  OpenAI      ${url}/v1
  Anthropic   ${url}

`)
  const signal = await stop
  gateway.services.logger.info({ signal }, 'stopping')
  // Whoever asks twice does not want to wait.
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => process.exit(1))
  await gateway.drain()
  return 0
}

try {
  process.exit(await main())
} catch (error) {
  // What an operator got wrong needs no stack: settings, options, a port that is taken, a module that is not there.
  const known = error instanceof ConfigError || (error instanceof Error && ('code' in error || 'cause' in error))
  process.stderr.write(`sluice: ${known || !(error instanceof Error) ? String(error) : error.stack}\n`)
  process.exit(1)
}
