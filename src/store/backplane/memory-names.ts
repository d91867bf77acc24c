import { NOBODY, storeFull, type Budget } from '../budget.ts'
import type { NameClaim, NameClaimed, RecordLifetimes } from './backplane.ts'
import { ExpiringMap } from './expiring-map.ts'

/** Memory of a name, apart from its texts. */
const NAME_BYTES = 400

interface Named {
  readonly id: string
  readonly fingerprint: string | undefined
  /** Another stream had it before: a reader that resumes may have read that one. */
  readonly replaced: boolean
}

/** Idempotency keys and aliases, and which stream has them. */
export class MemoryNames {
  readonly #budget: Budget
  readonly #lifetimes: RecordLifetimes
  readonly #now: () => number
  readonly #names: ExpiringMap<Named>

  constructor(budget: Budget, lifetimes: RecordLifetimes, now: () => number) {
    this.#budget = budget
    this.#lifetimes = lifetimes
    this.#now = now
    this.#names = new ExpiringMap(now, (name, named) => this.#charge(name, named, -1))
  }

  /** @throws SluiceError `store_full` */
  claim(name: string, { id, fingerprint, resuming, stale }: NameClaim): NameClaimed {
    const named = this.#names.get(name)
    const isStale = named !== undefined && named.id === stale
    if (named && !isStale && named.fingerprint !== fingerprint) return { status: 'conflict' }
    if (resuming) return named && !isStale && !named.replaced ? { status: 'joined', id: named.id } : { status: 'gone' }
    // The claim may be repeated by one that does not know whether it succeeded.
    if (named && !isStale && named.id !== id) return { status: 'joined', id: named.id }
    if (id !== undefined) {
      const replaced = named !== undefined && (named.id !== id || named.replaced)
      this.#put(name, { id, fingerprint, replaced }, this.#lifetimes.runningMs)
    }
    return { status: 'claimed' }
  }

  /** @throws SluiceError `store_full` */
  set(name: string, id: string): void {
    this.#put(name, { id, fingerprint: undefined, replaced: false }, this.#lifetimes.runningMs)
  }

  find(name: string): string | undefined {
    return this.#names.get(name)?.id
  }

  settle(name: string, id: string): void {
    const named = this.#names.get(name)
    if (named?.id === id) this.#put(name, named, this.#lifetimes.retentionMs)
  }

  #put(name: string, named: Named, lastsMs: number): void {
    const before = this.#names.get(name)
    if (!before && !this.#budget.admits(NOBODY, bytesOf(name, named))) throw storeFull()
    if (before) this.#charge(name, before, -1)
    this.#names.set(name, named, this.#now() + lastsMs)
    this.#charge(name, named, 1)
  }

  #charge(name: string, named: Named, times: 1 | -1): void {
    this.#budget.add('records', NOBODY, times * bytesOf(name, named))
  }
}

function bytesOf(name: string, { id, fingerprint = '' }: Named): number {
  return NAME_BYTES + 2 * (name.length + id.length + fingerprint.length)
}
