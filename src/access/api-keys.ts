// API keys: what they look like, how they are kept, and whose each one is.

import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { KeyConfig } from './access-schema.ts'
import { toCaller, type Caller, type Principal } from './caller.ts'

/** Random, so a plain hash protects it: nobody can try all of them. The prefix lets scanners find a leaked key. */
export function createKey(): string {
  return `slk_${randomBytes(32).toString('base64url')}`
}

const ALGORITHM = 'sha256'

/** What a file holds instead of the key. */
export function hashKey(key: string): string {
  return `${ALGORITHM}:${hash(ALGORITHM, key)}`
}

type ConfiguredKey = Pick<KeyConfig, 'key' | 'hash'> & Grant

/** The keys of a gateway. */
export class KeyTable {
  readonly #byHash = new Map<string, { hash: Buffer; caller: Caller }>()

  constructor(keys: readonly ConfiguredKey[]) {
    for (const { key, hash: given, ...grant } of keys) {
      const hashed = given ?? hashKey(key ?? '')
      this.#byHash.set(hashed, { hash: Buffer.from(hashed), caller: toCaller(toPrincipal(grant)) })
    }
  }

  /**
   * Whose key this is. Takes as long for a wrong key as for a right one: the hash decides where to look, and how much of
   * a hash is right says nothing about the key.
   */
  find(key: string): Caller | undefined {
    const hashed = hashKey(key)
    const entry = this.#byHash.get(hashed)
    const isSame = timingSafeEqual(Buffer.from(hashed), entry?.hash ?? Buffer.alloc(hashed.length))
    return isSame ? entry?.caller : undefined
  }
}

type Grant = Pick<KeyConfig, 'name' | 'scopes' | 'models' | 'limits' | 'userLimits'> & { actsForUsers?: boolean }

export function toPrincipal({ name, scopes, models, limits, userLimits, actsForUsers = false }: Grant): Principal {
  return { name, scopes: new Set(scopes), models, limits, userLimits, actsForUsers }
}
