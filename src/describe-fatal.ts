import { ConfigError } from './errors.ts'
import { isRecord } from './json.ts'

/** Enough for any real chain of causes; a chain can be circular. */
const MAX_CAUSES = 10

/**
 * Why the program could not start. Mistakes of the operator (a setting, an option, a missing module) are reported in
 * their words. Anything else is a bug, reported with the stack traces of all its causes.
 */
export function describeFatal(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (isOperators(error)) return isUsage(error) ? `${error.message}; see --help` : error.message
  const stacks: string[] = []
  for (let cause: unknown = error; cause !== undefined && stacks.length < MAX_CAUSES; cause = causeOf(cause))
    stacks.push(describe(cause))
  return stacks.join('\ncaused by: ')
}

function describe(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.stack ?? thrown.message
  return typeof thrown === 'string' ? thrown : `something of type ${typeof thrown}`
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined
}

function isOperators(error: unknown): boolean {
  return error instanceof ConfigError || isUsage(error) || /^(ERR_)?MODULE_NOT_FOUND$/.test(codeOf(error))
}

/** The command line has an option that there is not, or one without its value. */
function isUsage(error: unknown): boolean {
  return codeOf(error).startsWith('ERR_PARSE_ARGS_')
}

function codeOf(error: unknown): string {
  return isRecord(error) && typeof error.code === 'string' ? error.code : ''
}
