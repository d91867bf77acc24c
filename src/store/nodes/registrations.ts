import type { StreamInfo } from '../../stream/stream-log.ts'
import type { Backplane } from '../backplane/backplane.ts'

/** A stream of this process and its names, as the backplane must know them. */
export interface Registration {
  readonly info: StreamInfo
  readonly kept: string | undefined
  /** Which lease of this process it was registered under. */
  readonly epoch: number
  readonly key: { readonly name: string; readonly fingerprint: string } | undefined
  readonly alias: string | undefined
}

/** The streams of this process that are registered elsewhere, until their names are settled. */
export class Registrations {
  readonly #backplane: Backplane
  readonly #byId = new Map<string, Registration>()

  constructor(backplane: Backplane) {
    this.#backplane = backplane
  }

  add(registration: Registration): void {
    this.#byId.set(registration.info.id, registration)
  }

  get(id: string): Registration | undefined {
    return this.#byId.get(id)
  }

  /** The stream of this process that has the key; for when the backplane cannot be asked. */
  findByKey(name: string, except?: string): Registration | undefined {
    for (const registration of this.#byId.values())
      if (registration.key?.name === name && registration.info.id !== except) return registration
    return undefined
  }

  remove(id: string): void {
    this.#byId.delete(id)
  }

  /** Registers a stream again that the backplane has lost, or never got; false when it is not known here. */
  async restore(id: string, lease: string): Promise<boolean> {
    const registration = this.#byId.get(id)
    if (!registration) return false
    const { info, kept } = registration
    await this.#backplane.createStream({ id, info: JSON.stringify(info), kept, lease })
    await this.renew(id)
    return true
  }

  /** Prolongs the life of a running stream's names. */
  async renew(id: string): Promise<void> {
    const { key, alias } = this.#byId.get(id) ?? {}
    await Promise.all([
      key && this.#backplane.claimName(key.name, { id, fingerprint: key.fingerprint, resuming: false }),
      alias !== undefined && this.#renewAlias(alias, id),
    ])
  }

  /** A newer stream may have it. */
  async #renewAlias(alias: string, id: string): Promise<void> {
    const named = await this.#backplane.findName(alias)
    if (named === undefined || named === id) await this.#backplane.setName(alias, id)
  }

  /** The stream has ended: the retention of its names begins. */
  async settle(id: string): Promise<void> {
    const { key, alias } = this.#byId.get(id) ?? {}
    await Promise.all([
      key && this.#backplane.settleName(key.name, id),
      alias === undefined ? undefined : this.#backplane.settleName(alias, id),
    ])
  }
}
