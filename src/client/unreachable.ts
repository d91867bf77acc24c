import { SluiceClientError } from './client-error.ts'

/** Globals of pages and workers; Node has a `navigator` that does not know. */
interface Scope {
  setTimeout: unknown
  navigator?: { readonly onLine?: boolean }
  location?: { readonly origin: string }
}

export function isOffline(): boolean {
  const { navigator }: Scope = globalThis
  return navigator?.onLine === false
}

/**
 * The gateway cannot be reached. Browsers do not tell a refused connection from a missing permission, so the message
 * names both, unless the gateway has responded before.
 */
export function unreachable(cause: unknown, gateway: string, hasResponded: boolean): SluiceClientError {
  const { location }: Scope = globalThis
  const { cause: inner, message } = Object(cause)
  const reason = Object(inner).code ?? message
  const forbids =
    !hasResponded && location && new URL(gateway).origin !== location.origin
      ? `, or does not allow pages of ${location.origin} (CORS_ORIGIN)`
      : ''
  return new SluiceClientError({
    code: 'unreachable',
    message: isOffline()
      ? 'This device is offline.'
      : `The gateway at ${gateway} is unreachable${forbids}${reason ? `: ${reason}` : '.'}`,
    retryable: !isPermanent(cause),
    cause,
  })
}

/** A failure of `fetch` that a retry cannot fix: a missing API of the runtime, a rejected certificate. */
function isPermanent(error: unknown): boolean {
  return error instanceof ReferenceError || /CERT|VERIFY|WRONG/.test(Object(Object(error).cause).code)
}
