import dns, { type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'

/** Short, so that a name that moves is followed; a lookup takes a thread of four that the process has. */
const FRESH_MS = 10_000

type Waiting = (error: NodeJS.ErrnoException | null, addresses?: readonly LookupAddress[]) => void

/** The addresses of one host, for all connections to it: who asks while a lookup is under way waits for its result. */
export class AddressCache {
  #found: { addresses: readonly LookupAddress[]; until: number } | undefined
  #waiting: Waiting[] | undefined

  /** Stands in for `dns.lookup` when a socket connects; all addresses stay, for the socket to try one after the other. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.#find(hostname, options, (error, addresses = []) => {
      const [first] = addresses
      if (error || !first) callback(error ?? new Error(`${hostname} has no address`), '')
      else if (options.all) callback(null, [...addresses])
      else callback(null, first.address, first.family)
    })
  }

  /** Asks anew next time: no connection could be made to what was found. */
  forget(): void {
    this.#found = undefined
  }

  #find(hostname: string, options: dns.LookupOptions, callback: Waiting): void {
    const found = this.#found
    if (found && performance.now() < found.until) {
      // Not at once: a socket is not ready for it within `connect`.
      process.nextTick(callback, null, found.addresses)
      return
    }
    if (this.#waiting) {
      this.#waiting.push(callback)
      return
    }
    const waiting = (this.#waiting = [callback])
    dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
      this.#waiting = undefined
      if (!error) this.#found = { addresses, until: performance.now() + FRESH_MS }
      for (const each of waiting) each(error, addresses)
    })
  }
}
