// What the program does besides serving: it prints something, and ends.

import { parseArgs } from 'node:util'
import { callerName } from './access/access-schema.ts'
import { createKey, hashKey } from './access/api-keys.ts'
import { loadConfig, printConfig, type Config } from './config.ts'
import { didYouMean } from './config-faults.ts'
import { printSchema } from './config-schema.ts'
import { ConfigError } from './errors.ts'
import { describeSettings } from './settings.ts'
import { VERSION } from './version.ts'

const HELP = `Sluice, a token-streaming gateway.

Usage: sluice [options]            (from a checkout: npm start -- [options])
       sluice check [--online]     print what the configuration means, or what is wrong with it (exit code 1);
                                   with --online, ask each upstream for its models, too
       sluice schema               print the JSON schema of sluice.yaml
       sluice key create [name]    print a new API key for callers, and its hash

  --config FILE    settings in YAML; default: sluice.yaml, if there is one
  --print-config   print the settings in force, secrets masked, and exit
  --version        print the version and exit
  --help           print this and exit

On SIGHUP, the gateway reads the file again, without a break for any stream.

Settings, from the environment (in sluice.yaml as camelCase: heartbeatMs):

${describeSettings()}
`

/** What the command line asks for: to print a text and end with a code, or to serve. */
export type Command = { readonly prints: string; readonly code: number } | { readonly serves: () => Config }

/** @throws ConfigError, or an error of `parseArgs` */
export async function readCommand(args: readonly string[]): Promise<Command> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'v' },
      config: { type: 'string' },
      'print-config': { type: 'boolean' },
      online: { type: 'boolean' },
    },
  })
  const read = () => loadConfig({ environment: process.env, file: values.config })
  const prints = (text: string, code = 0): Command => ({ prints: text, code })
  const command = positionals.join(' ')
  if (values.help) return prints(HELP)
  if (values.version) return prints(`${VERSION}\n`)
  if (values.online && command !== 'check') throw fault('--online', 'belongs to "sluice check"')
  if (command === 'check') {
    // Not loaded to serve.
    const { checkConfig } = await import('./check.ts')
    const { text, isOk } = await checkConfig(read(), { online: values.online ?? false })
    return prints(text, isOk ? 0 : 1)
  }
  if (command === 'schema') return prints(printSchema())
  if (positionals.length > 0) return prints(createKeyFor(positionals))
  if (values['print-config']) return prints(printConfig(read()))
  return { serves: read }
}

const COMMANDS = ['check', 'schema', 'key create']

function createKeyFor([noun, verb, name = 'my-app', ...rest]: readonly string[]): string {
  if (noun !== 'key' || verb !== 'create' || rest.length > 0) {
    const given = [noun, verb, ...rest].filter((word) => word !== undefined).join(' ')
    const meant = didYouMean(given, COMMANDS) || `; there are ${COMMANDS.map((each) => `"${each}"`).join(', ')}`
    throw fault(given, `is not a command${meant}`)
  }
  if (!callerName.safeParse(name).success) throw fault('name', 'expected up to 64 letters, digits, ".", "_" and "-"')
  const key = createKey()
  return `# The key, for the caller; it is not shown again:
#   ${key}
# Its hash, for sluice.yaml:
keys:
  - name: ${name}
    hash: ${hashKey(key)}
`
}

function fault(path: string, message: string): ConfigError {
  return new ConfigError([{ path, message }])
}
