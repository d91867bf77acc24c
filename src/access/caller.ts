// Callers, their scopes and their limits.

/**
 * Rights of a caller:
 *
 * - `chat`: start streams, and make the other requests of an SDK
 * - `read`, `cancel`: read and stop its own streams
 * - `metrics`: scrape `/metrics`
 * - `admin`: see everybody's usage
 */
export const SCOPES = ['chat', 'read', 'cancel', 'metrics', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

/** Scopes of a key that names none. */
export const USUAL_SCOPES: readonly Scope[] = ['chat', 'read', 'cancel']

/** How much a caller may use. Absent means no limit. */
export interface Limits {
  readonly requestsPerMinute?: number | undefined
  readonly concurrentStreams?: number | undefined
  readonly tokensPerMinute?: number | undefined
  /** By UTC, like all days and months. */
  readonly tokensPerDay?: number | undefined
  /** In the currency of the configured prices. */
  readonly costPerDay?: number | undefined
  readonly costPerMonth?: number | undefined
  /** Most completion tokens of one request. */
  readonly maxTokens?: number | undefined
}

/** A kind of caller, as configured: a key, all tokens of one issuer, or everybody. Its name is safe to log. */
export interface Principal {
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  /** Names of models, which may end in `*`; undefined for all. */
  readonly models: readonly string[] | undefined
  readonly limits: Limits
  /** Of each of its end users. */
  readonly userLimits: Limits
  /** Requests may name an end user, who is then an owner of their own. */
  readonly actsForUsers: boolean
  /** Everybody, where no callers are configured. */
  readonly isAnonymous?: true
}

/** The identity that makes a request. */
export interface Caller {
  readonly principal: Principal
  /** The end user; undefined when the principal acts for itself. Chosen by the client: never a label of a metric. */
  readonly user: string | undefined
  /** The identity that its streams belong to. */
  readonly owner: string
}

/** Longest name of a user, in characters. */
const MAX_USER = 256

export const USER_FORM = `a text of 1 to ${MAX_USER} characters`

export function isUser(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_USER
}

/** @param user of the principal, who is then the owner */
export function toCaller(principal: Principal, user?: string): Caller {
  // A principal's name has no colon, so two owners never have the same text.
  return { principal, user, owner: user === undefined ? principal.name : `${principal.name}:${user}` }
}

/** Names in logs for callers that are not configured: no key may have them. */
export const RESERVED_NAMES: readonly string[] = ['anonymous', 'nobody', 'ticket', 'metrics']

/** Everybody, where callers are configured, until a credential says who it is. */
export const NOBODY: Caller = toCaller({
  name: 'nobody',
  scopes: new Set(),
  models: undefined,
  limits: {},
  userLimits: {},
  actsForUsers: false,
})

/** Everybody, where no callers are configured. */
export const ANONYMOUS: Principal = {
  name: 'anonymous',
  scopes: new Set(SCOPES),
  models: undefined,
  limits: {},
  userLimits: {},
  actsForUsers: false,
  isAnonymous: true,
}
