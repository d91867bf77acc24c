// From the credentials of a request to its caller.

import { SluiceError } from '../errors.ts'
import type { KeyConfig } from './access-schema.ts'
import { KeyTable } from './api-keys.ts'
import { ANONYMOUS, toCaller, type Caller, type Scope } from './caller.ts'
import type { TokenVerifier } from './json-web-tokens.ts'

export interface AuthenticatorOptions {
  readonly keys: readonly KeyConfig[]
  readonly tokens: TokenVerifier | undefined
  /** May scrape `/metrics`, and nothing else; empty for none. */
  readonly metricsToken: string
}

const EVERYBODY = toCaller(ANONYMOUS)

/** A JSON Web Token: three parts, none of them empty. */
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/

export class Authenticator {
  /** No callers are configured: everybody may use the gateway. */
  readonly isOpen: boolean
  /** Undefined where no tokens are accepted. */
  readonly tokens: TokenVerifier | undefined
  readonly #keys: KeyTable
  readonly #guardsMetrics: boolean

  constructor({ keys, tokens, metricsToken }: AuthenticatorOptions) {
    const ofMetrics = { name: 'metrics', key: metricsToken, scopes: ['metrics' as const], limits: {}, userLimits: {} }
    this.#keys = new KeyTable(metricsToken === '' ? keys : [...keys, ofMetrics])
    this.tokens = tokens
    this.isOpen = keys.length === 0 && !tokens
    this.#guardsMetrics = metricsToken !== ''
  }

  /** Whether requests for something with this scope need a credential. */
  guards(scope: Scope): boolean {
    return !this.isOpen || (scope === 'metrics' && this.#guardsMetrics)
  }

  /**
   * The caller with the first of these credentials that is valid. A promise only for a token, so that requests with a
   * key need none.
   *
   * @throws SluiceError `invalid_api_key` or `auth_unavailable`
   */
  identify(credentials: readonly string[], scope: Scope): Caller | Promise<Caller> {
    if (!this.guards(scope)) return EVERYBODY
    for (const credential of credentials) {
      const caller = this.#keys.find(credential)
      if (caller) return caller
    }
    const token = this.tokens && credentials.find((each) => TOKEN.test(each))
    if (token !== undefined && this.tokens) return this.tokens.verify(token)
    throw new SluiceError(
      'invalid_api_key',
      credentials.length === 0
        ? 'This gateway needs an API key: send it as "Authorization: Bearer …".'
        : 'The API key is not valid.',
    )
  }
}
