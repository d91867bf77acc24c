// JSON Web Tokens as credentials: https://www.rfc-editor.org/rfc/rfc7519

import { createPublicKey, createSecretKey, hash } from 'node:crypto'
import {
  createRemoteJWKSet,
  customFetch,
  errors,
  jwtVerify,
  type FetchImplementation,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from 'jose'
import { ConfigError, SluiceError } from '../errors.ts'
import type { JwtConfig } from './access-schema.ts'
import { toPrincipal } from './api-keys.ts'
import { isUser, SCOPES, toCaller, USER_FORM, type Caller, type Principal, type Scope } from './caller.ts'

/** Algorithms with a public key. Never mixed with the others: a public key must not serve as a shared secret. */
const PUBLIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
const SHARED = ['HS256', 'HS384', 'HS512']

/** Clocks of issuer and gateway may differ by this, in seconds. */
const CLOCK_TOLERANCE = 5

/** A verified token is not verified again for this long: a signature costs more than the rest of a request. */
const REMEMBERED_MS = 60_000
const MAX_REMEMBERED = 1000

export class TokenVerifier {
  readonly principal: Principal
  readonly #config: JwtConfig
  readonly #key: JWTVerifyGetKey
  readonly #options: JWTVerifyOptions
  /** By the token's hash, the oldest first. */
  readonly #verified = new Map<string, { caller: Caller; until: number }>()

  /** @throws ConfigError when the key cannot be read */
  constructor(config: JwtConfig) {
    this.principal = toPrincipal(config)
    this.#config = config
    this.#key = keyOf(config)
    this.#options = {
      issuer: config.issuer,
      audience: config.audience,
      algorithms: config.secret === undefined ? PUBLIC : SHARED,
      clockTolerance: CLOCK_TOLERANCE,
      requiredClaims: ['exp', config.ownerClaim],
    }
  }

  /** @throws SluiceError `invalid_api_key`, or `auth_unavailable` when the issuer's keys cannot be fetched */
  verify(token: string): Caller | Promise<Caller> {
    const hashed = hash('sha256', token)
    const known = this.#verified.get(hashed)
    if (known && known.until > Date.now()) return known.caller
    return this.#verify(token, hashed)
  }

  async #verify(token: string, hashed: string): Promise<Caller> {
    try {
      const { payload } = await jwtVerify(token, this.#key, this.#options)
      const caller = this.#toCaller(payload)
      this.#remember(hashed, caller, (payload.exp ?? 0) * 1000)
      return caller
    } catch (error) {
      throw toSluiceError(error)
    }
  }

  #toCaller(payload: JWTPayload): Caller {
    const { ownerClaim, scopesClaim } = this.#config
    const owner = payload[ownerClaim]
    if (!isUser(owner)) throw new SluiceError('invalid_api_key', `The token's ${ownerClaim} must be ${USER_FORM}.`)
    const claimed = scopesClaim === undefined ? undefined : payload[scopesClaim]
    const principal = claimed === undefined ? this.principal : { ...this.principal, scopes: readScopes(claimed) }
    return toCaller(principal, owner)
  }

  #remember(hashed: string, caller: Caller, expires: number): void {
    const [oldest] = this.#verified.keys()
    if (oldest !== undefined && this.#verified.size >= MAX_REMEMBERED) this.#verified.delete(oldest)
    this.#verified.set(hashed, { caller, until: Math.min(expires, Date.now() + REMEMBERED_MS) })
  }
}

function keyOf({ jwksUrl, publicKey, secret }: JwtConfig): JWTVerifyGetKey {
  if (jwksUrl !== undefined) return remoteKey(jwksUrl)
  if (secret !== undefined) {
    const shared = createSecretKey(Buffer.from(secret))
    return () => Promise.resolve(shared)
  }
  try {
    const key = createPublicKey(publicKey ?? '')
    return () => Promise.resolve(key)
  } catch {
    // Not the cause: it may quote the key.
    throw new ConfigError([{ path: 'jwt.publicKey', message: 'is not a public key in PEM' }])
  }
}

/** Fetches of an issuer's keys, at once and in each period. */
const FETCHES = 5
const FETCH_PERIOD_MS = 60_000

/** Until the next fetch, when one has failed. */
const FETCH_PAUSE_MS = 5000

/** Issuers publish a few keys, some of them with their certificates. Parsing a large set would block the event loop. */
const MAX_SET_BYTES = 256 * 1024

/**
 * Fetches the set again as soon as a token names a key that is not in it: issuers rotate their keys. Anybody can invent
 * names of keys, and an issuer may fail, so the number of fetches is limited.
 */
function remoteKey(url: string): JWTVerifyGetKey {
  const allowance = new Allowance(FETCHES, FETCH_PERIOD_MS)
  let fetchAfter = -Infinity
  const fetchKeys: FetchImplementation = async (address, options) => {
    if (performance.now() < fetchAfter || !allowance.take())
      throw new Error('The keys could not be fetched a moment ago')
    const response = await fetch(address, options)
    // A redirect is not followed, and has no status.
    if (response.status !== 200) throw new Error('The issuer did not answer with its keys')
    return new Response(await readAtMost(response, MAX_SET_BYTES))
  }
  // Not jose's own rule of when to fetch again, which would refuse every token of a new key for half a minute.
  const find = createRemoteJWKSet(new URL(url), { cooldownDuration: Infinity, [customFetch]: fetchKeys })
  return async (header, token) => {
    try {
      return await find(header, token).catch(async (error: unknown) => {
        if (!(error instanceof errors.JWKSNoMatchingKey) || allowance.isSpent) throw error
        await find.reload()
        return find(header, token)
      })
    } catch (error) {
      const isToken = error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JOSENotSupported
      if (isToken || error instanceof errors.JWKSMultipleMatchingKeys) throw error
      if (performance.now() >= fetchAfter) fetchAfter = performance.now() + FETCH_PAUSE_MS
      throw new SluiceError('auth_unavailable', 'The keys that verify tokens cannot be fetched; try again later.', {
        cause: error,
        retryAfter: 5,
      })
    }
  }
}

/** Lets something happen at most so many times in any period. */
class Allowance {
  readonly #most: number
  readonly #periodMs: number
  /** Times at which it was taken, the oldest first. */
  readonly #taken: number[] = []

  constructor(most: number, periodMs: number) {
    this.#most = most
    this.#periodMs = periodMs
  }

  get isSpent(): boolean {
    const [oldest] = this.#taken
    return this.#taken.length >= this.#most && oldest !== undefined && performance.now() - oldest < this.#periodMs
  }

  take(): boolean {
    if (this.isSpent) return false
    this.#taken.push(performance.now())
    if (this.#taken.length > this.#most) this.#taken.shift()
    return true
  }
}

async function readAtMost(response: Response, bytes: number): Promise<Blob> {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  // Leaving the loop cancels the rest.
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > bytes) throw new Error(`The keys of the issuer are larger than ${bytes} bytes`)
    chunks.push(chunk)
  }
  return new Blob(chunks)
}

/** A list, or names separated by spaces as in OAuth. Scopes of other services are left out. */
function readScopes(claimed: unknown): ReadonlySet<Scope> {
  const names: unknown[] = typeof claimed === 'string' ? claimed.split(' ') : Array.isArray(claimed) ? claimed : []
  return new Set(SCOPES.filter((scope) => names.includes(scope)))
}

function toSluiceError(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error
  if (error instanceof errors.JWTExpired) return refused('has expired', error)
  if (error instanceof errors.JWTClaimValidationFailed) return refused(`has a wrong or missing ${error.claim}`, error)
  return refused('is not valid', error)
}

function refused(why: string, cause: unknown): SluiceError {
  return new SluiceError('invalid_api_key', `The token ${why}.`, { cause })
}
