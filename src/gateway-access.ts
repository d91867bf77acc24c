// The parts of a gateway that decide who may use it, and how much.

import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { Authenticator } from './access/authenticator.ts'
import type { TokenVerifier } from './access/json-web-tokens.ts'
import type { LimitStore } from './access/limit-store.ts'
import { Limiter } from './access/limiter.ts'
import { Tickets } from './access/tickets.ts'
import type { Config } from './config.ts'
import { callerNames } from './telemetry/observe-callers.ts'
import type { Backplane } from './store/backplane/backplane.ts'
import type { Logger } from './telemetry/logger.ts'
import { observeLimits } from './telemetry/observe-limits.ts'
import type { Metrics } from './telemetry/metrics.ts'

export interface Access {
  readonly authenticator: Authenticator
  readonly tickets: Tickets
  readonly limiter: Limiter
}

/** As many as a random key of 96 bits has in hex. */
const SAFE_CHARACTERS = 24

/** What access is built on, and outlives it. */
export interface AccessBase {
  readonly limitStore: LimitStore
  readonly backplane: Backplane | undefined
  readonly metrics: Metrics
  readonly logger: Logger
}

/**
 * @param before access by another configuration, of which the parts stay that have not changed: secrets that were drawn,
 * and the fetched keys of an issuer
 * @throws ConfigError when the key that verifies tokens cannot be read
 */
export async function createAccess(
  config: Config,
  { limitStore: store, backplane, metrics, logger }: AccessBase,
  before?: Access & { readonly config: Config },
): Promise<Access> {
  if (config.ticketSecret.some(({ length }) => length < SAFE_CHARACTERS))
    logger.warn('TICKET_SECRET is short: a holder of one ticket can guess it, and then sign others')
  const onRefusal = observeLimits(metrics, callerNames(config))
  const keeps = (setting: 'jwt' | 'ticketSecret') => isDeepStrictEqual(before?.config[setting], config[setting])
  return {
    authenticator: new Authenticator({
      ...config,
      tokens: before && keeps('jwt') ? before.authenticator.tokens : await createVerifier(config),
    }),
    tickets: before && keeps('ticketSecret') ? before.tickets : new Tickets(await ticketSecrets(config, backplane)),
    limiter: new Limiter({ store, limits: config.limits, onRefusal }),
  }
}

/** Nodes that share nothing else have no secret in common unless one is configured. */
async function ticketSecrets({ ticketSecret }: Config, backplane: Backplane | undefined): Promise<readonly string[]> {
  const fresh = randomBytes(32).toString('base64url')
  if (ticketSecret.length > 0 || !backplane) return ticketSecret
  // A gateway that may run without its store does so with tickets of its own.
  return [await backplane.secret('tickets', fresh).catch(() => fresh)]
}

/** Loads jose only where tokens are configured. @throws ConfigError when the key cannot be read */
export async function createVerifier({ jwt }: Config): Promise<TokenVerifier | undefined> {
  if (!jwt) return undefined
  const { TokenVerifier: Verifier } = await import('./access/json-web-tokens.ts')
  return new Verifier(jwt)
}
