import { randomInt } from 'node:crypto'

/**
 * A port for a server that will be gone for a while and come back to it: below those that systems give away, so nothing
 * takes it by accident meanwhile, and with one for the bus of a Redis cluster 10,000 above. May be taken: try another.
 */
export function quietPort(): number {
  return randomInt(10_000, 22_768)
}
