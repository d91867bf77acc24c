import { readFileSync } from 'node:fs'
import { parse as parseYaml, YAMLParseError } from 'yaml'
import { ConfigError } from './errors.ts'
import type { Fault } from './faults.ts'
import { isPlainRecord } from './json.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The settings of a file, not checked yet; none without a file. @throws ConfigError when it cannot be read */
export function readConfigFile(file: string | undefined, environment: Environment): Record<string, unknown> {
  if (file === undefined) return {}
  let content: unknown
  try {
    // Warnings may quote the file, too.
    content = parseYaml(readFileSync(file, 'utf8'), { logLevel: 'error' }) ?? {}
  } catch (error) {
    throw new ConfigError([{ path: file, message: describeUnreadable(error) }])
  }
  if (!isPlainRecord(content)) throw new ConfigError([{ path: file, message: 'expected settings, one to a line' }])
  const faults: Fault[] = []
  const filled = fillIn(content, environment, '', faults)
  if (faults.length > 0) throw new ConfigError(faults)
  return isPlainRecord(filled) ? filled : {}
}

/** Where a file is invalid YAML, and why. Not the parser's message: it quotes the line, which may contain a secret. */
function describeUnreadable(error: unknown): string {
  if (error instanceof YAMLParseError) {
    const [{ line, col } = { line: 1, col: 1 }] = error.linePos ?? []
    return `line ${line}, column ${col}: ${error.code.toLowerCase().replaceAll('_', ' ')}`
  }
  // File system errors contain only a code and a path. All others come from the parser, about unresolved or excessive
  // aliases.
  return error instanceof Error && 'syscall' in error ? error.message : 'has an alias that cannot be resolved'
}

/** Replaces `${NAME}` with the environment's value, so that secrets need not be in a file. */
function fillIn(value: unknown, environment: Environment, path: string, faults: Fault[]): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{(\w+)\}/g, (_, name: string) => {
      const found = environment[name]
      if (found === undefined) faults.push({ path, message: `the environment has no ${name}` })
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
