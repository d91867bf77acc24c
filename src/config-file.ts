import { readFileSync } from 'node:fs'
import { parse as parseYaml, YAMLParseError } from 'yaml'
import { ConfigError } from './errors.ts'
import type { Fault } from './faults.ts'
import { isPlainRecord } from './json.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The settings of a file, not checked yet; none without a file. @throws ConfigError when it cannot be read */
export function readConfigFile(file: string | undefined, environment: Environment): Record<string, unknown> {
  if (file === undefined) return {}
  let text = ''
  let content: unknown
  try {
    text = readFileSync(file, 'utf8')
    // Warnings may quote the file, too.
    content = parseYaml(text, { logLevel: 'error' }) ?? {}
  } catch (error) {
    throw new ConfigError([{ path: file, message: describeUnreadable(error, text) }])
  }
  if (!isPlainRecord(content)) throw new ConfigError([{ path: file, message: 'expected settings, one to a line' }])
  const faults: Fault[] = []
  const filled = fillIn(content, environment, '', faults)
  if (faults.length > 0) throw new ConfigError(faults)
  return isPlainRecord(filled) ? filled : {}
}

/** Where a file is invalid YAML, and why. Not the parser's message: it quotes the line, which may contain a secret. */
function describeUnreadable(error: unknown, text: string): string {
  if (error instanceof YAMLParseError) {
    const [{ line, col } = { line: 1, col: 1 }] = error.linePos ?? []
    const [at] = error.pos
    const advice = /\$?\{$/.test(text.slice(at - 1, at + 1)) ? '; within { } or [ ], quote it: "${NAME}"' : ''
    return `line ${line}, column ${col}: ${error.code.toLowerCase().replaceAll('_', ' ')}${advice}`
  }
  // File system errors contain only a code and a path. All others come from the parser, about unresolved or excessive
  // aliases.
  return error instanceof Error && 'syscall' in error ? error.message : 'has an alias that cannot be resolved'
}

/** A reference to the environment: `${NAME}` or `${NAME:-default}`; anything else between the braces is a fault. */
const REFERENCE = /\$\{(?:(\w+)(?::-([^}]*))?\}|)/g

/** Replaces references by the environment's values, so that secrets need not be in a file. An empty variable is not set. */
function fillIn(value: unknown, environment: Environment, path: string, faults: Fault[]): unknown {
  if (typeof value === 'string') {
    return value.replace(REFERENCE, (_, name?: string, otherwise?: string) => {
      if (name === undefined) faults.push({ path, message: 'expected ${NAME} or ${NAME:-default}' })
      const found = (name !== undefined && environment[name]) || otherwise
      if (name !== undefined && found === undefined)
        faults.push({ path, message: `the environment has no ${name}, or it is empty` })
      return found ?? ''
    })
  }
  if (Array.isArray(value)) return value.map((item, index) => fillIn(item, environment, `${path}[${index}]`, faults))
  if (!isPlainRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      fillIn(item, environment, path ? `${path}.${name}` : name, faults),
    ]),
  )
}
