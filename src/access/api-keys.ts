// API keys: how they are made and hashed, and which caller each belongs to.

import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { KeyConfig } from './access-schema.ts'
import { toCaller, type Caller, type Principal } from './caller.ts'

/** Random, so a plain hash protects it: nobody can try all of them. The prefix lets scanners find a leaked key. */
export function createKey(): string {
  return `slk_${randomBytes(32).toString('base64url')}`
}

const ALGORITHM = 'sha256'

/** The form in which the configuration can hold a key. */
export function hashKey(key: string): string {
  return `${ALGORITHM}:${hash(ALGORITHM, key)}`
}

type ConfiguredKey = Pick<KeyConfig, 'key' | 'hash'> & Entry

/** The keys of a gateway. */
export class KeyTable {
  readonly #byHash = new Map<string, { hash: Buffer; caller: Caller }>()

  constructor(keys: readonly ConfiguredKey[]) {
    for (const { key, hash: given, ...entry } of keys) {
      const hashed = given ?? hashKey(key ?? '')
      this.#byHash.set(hashed, { hash: Buffer.from(hashed), caller: toCaller(toPrincipal(entry)) })
    }
  }

  /**
   * Whose key this is. Takes as long for a wrong key as for a right one: the hash decides where to look, and how much of
   * a hash is right says nothing about the key.
   */
  find(key: string): Caller | undefined {
    const hashed = hashKey(key)
    const known = this.#byHash.get(hashed)
    const isSame = timingSafeEqual(Buffer.from(hashed), known?.hash ?? Buffer.alloc(hashed.length))
    return isSame ? known?.caller : undefined
  }
}

/** An entry of the configuration, for a key or for the tokens of an issuer. */
type Entry = Pick<KeyConfig, 'name' | 'scopes' | 'models' | 'limits' | 'userLimits'> & { actsForUsers?: boolean }

export function toPrincipal({ name, scopes, models, limits, userLimits, actsForUsers = false }: Entry): Principal {
  return { name, scopes: new Set(scopes), models, limits, userLimits, actsForUsers }
}
