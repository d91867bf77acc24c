import dns, { type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'

/** Short, to follow DNS changes. Cached, because a lookup occupies one of the process's four worker threads. */
const FRESH_MS = 10_000

type Waiting = (error: NodeJS.ErrnoException | null, addresses?: readonly LookupAddress[]) => void

/** Caches the addresses of one host. Concurrent requests share one lookup. */
export class AddressCache {
  #found: { addresses: readonly LookupAddress[]; until: number } | undefined
  #waiting: Waiting[] | undefined

  /** Replaces `dns.lookup` for a socket; returns all addresses, and the socket tries them in turn. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.#find(hostname, options, (error, addresses = []) => {
      const [first] = addresses
      if (error || !first) callback(error ?? new Error(`${hostname} has no address`), '')
      else if (options.all) callback(null, [...addresses])
      else callback(null, first.address, first.family)
    })
  }

  /** Forces a new lookup after a failed connect. */
  forget(): void {
    this.#found = undefined
  }

  #find(hostname: string, options: dns.LookupOptions, callback: Waiting): void {
    const found = this.#found
    if (found && performance.now() < found.until) {
      // Asynchronous: within `connect`, a socket is not ready for the callback.
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
