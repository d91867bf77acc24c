// The parts of a gateway that decide who may use it, and how much.

import { Authenticator } from './access/authenticator.ts'
import type { TokenVerifier } from './access/json-web-tokens.ts'
import type { LimitStore } from './access/limit-store.ts'
import { Limiter } from './access/limiter.ts'
import { Tickets } from './access/tickets.ts'
import type { Config } from './config.ts'
import { callerNames } from './telemetry/observe-callers.ts'
import { observeLimits } from './telemetry/observe-limits.ts'
import type { Metrics } from './telemetry/metrics.ts'

export interface Access {
  readonly authenticator: Authenticator
  readonly tickets: Tickets
  readonly limiter: Limiter
}

/** @throws ConfigError when the key that verifies tokens cannot be read */
export async function createAccess(config: Config, store: LimitStore, metrics: Metrics): Promise<Access> {
  const onRefusal = observeLimits(metrics, callerNames(config))
  return {
    authenticator: new Authenticator({ ...config, tokens: await createVerifier(config) }),
    tickets: new Tickets(config.ticketSecret),
    limiter: new Limiter({ store, limits: config.limits, onRefusal }),
  }
}

/** Loads jose only where tokens are configured. */
async function createVerifier({ jwt }: Config): Promise<TokenVerifier | undefined> {
  if (!jwt) return undefined
  const { TokenVerifier: Verifier } = await import('./access/json-web-tokens.ts')
  return new Verifier(jwt)
}
