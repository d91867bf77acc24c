import { Agent } from 'undici'
import { z } from 'zod'

/** Where a provider is. */
export const baseUrlSchema = z
  .url({ protocol: /^https?$/ })
  .refine((url) => new URL(url).username === '', 'holds credentials, which belong into apiKey or headers')

/** The connections of one provider: a pool for each time that connecting may take. */
export class Connections {
  readonly #pools = new Map<number, Agent>()

  within(connectTimeoutMs = 10_000): Agent {
    const known = this.#pools.get(connectTimeoutMs)
    if (known) return known
    // Silence is judged where tokens are counted, so no other timeouts here.
    const pool = new Agent({ connect: { timeout: connectTimeoutMs }, headersTimeout: 0, bodyTimeout: 0 })
    this.#pools.set(connectTimeoutMs, pool)
    return pool
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()))
  }
}
