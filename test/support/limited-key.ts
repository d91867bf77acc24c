import { keySchema, type KeyConfig } from '../../src/access/access-schema.ts'
import type { Config } from '../../src/config.ts'

export const KEY = 'key-of-app'

/** The headers of a request with the key `app`, for one of its users. */
export function as(user?: string, key = KEY): { headers: Record<string, string> } {
  return { headers: { authorization: `Bearer ${key}`, ...(user !== undefined && { 'sluice-user': user }) } }
}

/** Settings with the key `app`, and another one named `other`, without limits. */
export function withKey(grant: Partial<KeyConfig>): Partial<Config> {
  return {
    keys: [
      keySchema.parse({ name: 'app', key: KEY, ...grant }),
      keySchema.parse({ name: 'other', key: 'key-of-other' }),
    ],
  }
}
