import { ConfigError } from './errors.ts'
import { isRecord } from './json.ts'

/** Enough for any real chain of causes; a chain can be circular. */
const MAX_CAUSES = 10

/**
 * Why the program could not start. Mistakes of the operator (a setting, an option, a port in use, a missing module) are
 * reported without a stack trace. Anything else is a bug, reported with the stack traces of all its causes.
 */
export function describeFatal(error: unknown): string {
  if (isOperators(error) || !(error instanceof Error)) return String(error)
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
  if (error instanceof ConfigError) return true
  const { code, syscall } = isRecord(error) ? error : {}
  return isListening(syscall) || (typeof code === 'string' && /^ERR_PARSE_ARGS_|^(ERR_)?MODULE_NOT_FOUND$/.test(code))
}

/** The system calls of `server.listen`, including the lookup of a host name. */
function isListening(syscall: unknown): boolean {
  return syscall === 'listen' || syscall === 'bind' || syscall === 'getaddrinfo'
}
