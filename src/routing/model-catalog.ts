import { setTimeout as sleep } from 'node:timers/promises'
import type { RegisteredProvider } from '../../providers/registry.ts'
import { SluiceError, toSluiceError } from '../errors.ts'

/** A list is asked for again when it is older than this and somebody wants it. */
const REFRESH_MS = 10 * 60_000

/** After a failure it is asked for again after this, which doubles with each failure up to `REFRESH_MS`. */
const FIRST_RETRY_MS = 15_000

const CONNECT_TIMEOUT_MS = 5_000
const TOTAL_TIMEOUT_MS = 15_000

/** How long a request waits for the first list. */
const FIRST_WAIT_MS = 1_500

/** More models of one provider than this are left out: pickers are no use with more. */
const MAX_MODELS = 1_000

/** Up to 200 characters, none of them invisible. */
const NAME = /^[^\p{C}]{1,200}$/u

export interface CatalogObserver {
  /** A provider's list failed, after it had not. */
  failed(provider: string, error: SluiceError): void
  recovered(provider: string, models: number): void
}

export interface CatalogOptions {
  /** A monotonic clock, in milliseconds. */
  now?: () => number
  firstWaitMs?: number
  totalTimeoutMs?: number
}

type Options = Required<CatalogOptions>

/**
 * The lists of models that upstreams give, for providers that accept any model. Without a reader no upstream is asked;
 * a reader gets what is known, and starts a refresh when that is old.
 */
export class ModelCatalog {
  readonly #lists = new Map<string, ProviderList>()
  readonly #options: Options

  constructor(
    providers: ReadonlyMap<string, RegisteredProvider>,
    observer: CatalogObserver,
    {
      now = () => performance.now(),
      firstWaitMs = FIRST_WAIT_MS,
      totalTimeoutMs = TOTAL_TIMEOUT_MS,
    }: CatalogOptions = {},
  ) {
    this.#options = { now, firstWaitMs, totalTimeoutMs }
    for (const [name, registered] of providers) {
      const { provider, listModels = true } = registered
      if (listModels && !provider.models && provider.listModels)
        this.#lists.set(name, new ProviderList(name, registered, observer, this.#options))
    }
  }

  /** Counts the changes of all lists. */
  get version(): number {
    return [...this.#lists.values()].reduce((sum, { changes }) => sum + changes, 0)
  }

  /** The models that a provider is known to have; empty for one that is not asked. */
  modelsOf(provider: string): readonly string[] {
    return this.#lists.get(provider)?.names ?? []
  }

  /** Starts to refresh the lists that are old. Waits only for those that come for the first time, and only briefly. */
  async refresh(): Promise<void> {
    const first = [...this.#lists.values()].flatMap((list) => list.refresh() ?? [])
    if (first.length === 0) return
    const waited = new AbortController()
    const limit = sleep(this.#options.firstWaitMs, undefined, { signal: waited.signal }).catch(() => {})
    await Promise.race([Promise.all(first), limit])
    waited.abort()
  }

  /** Ends what is running; nothing is asked any more. */
  close(): void {
    for (const list of this.#lists.values()) list.close()
  }
}

/** The list of one provider. A failure leaves it as it was. */
class ProviderList {
  names: readonly string[] = []
  changes = 0
  readonly #name: string
  readonly #registered: RegisteredProvider
  readonly #observer: CatalogObserver
  readonly #options: Options
  /** The attempt that runs. */
  #running: { stop: AbortController; ended: Promise<void>; startedAt: number } | undefined
  #attempts = 0
  /** Since the last success. */
  #failures = 0
  #dueAt = -Infinity
  #closed = false

  constructor(name: string, registered: RegisteredProvider, observer: CatalogObserver, options: Options) {
    this.#name = name
    this.#registered = registered
    this.#observer = observer
    this.#options = options
  }

  /** @returns the first attempt, while it is worth waiting for */
  refresh(): Promise<void> | undefined {
    const { now, firstWaitMs } = this.#options
    const time = now()
    if (!this.#running && !this.#closed && time >= this.#dueAt) this.#start(time)
    const running = this.#running
    return running && this.#attempts === 1 && time - running.startedAt < firstWaitMs ? running.ended : undefined
  }

  close(): void {
    this.#closed = true
    this.#running?.stop.abort(new SluiceError('gateway_shutdown', 'The gateway is shutting down.'))
  }

  #start(startedAt: number): void {
    const stop = new AbortController()
    this.#attempts += 1
    this.#running = { stop, startedAt, ended: this.#attempt(stop).finally(() => (this.#running = undefined)) }
  }

  /** Never rejects. */
  async #attempt(stop: AbortController): Promise<void> {
    const late = new SluiceError('upstream_timeout', 'The upstream took too long to list its models.')
    const timer = setTimeout(() => stop.abort(late), this.#options.totalTimeoutMs)
    // A module may ignore its signal.
    const aborted = new Promise<never>((_, reject) =>
      stop.signal.addEventListener('abort', () => reject(stop.signal.reason)),
    )
    try {
      this.#succeed(readNames(await Promise.race([this.#ask(stop.signal), aborted])))
    } catch (error) {
      this.#fail(toSluiceError(error))
    } finally {
      clearTimeout(timer)
    }
  }

  async #ask(signal: AbortSignal): Promise<unknown> {
    const { provider, options, keys = [] } = this.#registered
    // The next key after a failure: it may be the key that was refused.
    const apiKey = keys[this.#failures % Math.max(1, keys.length)]?.key
    return provider.listModels?.({ signal, options, apiKey, connectTimeoutMs: CONNECT_TIMEOUT_MS })
  }

  #succeed(names: readonly string[]): void {
    if (this.#failures > 0) this.#observer.recovered(this.#name, names.length)
    this.#failures = 0
    this.#dueAt = this.#options.now() + REFRESH_MS
    if (names.length === this.names.length && names.every((name, i) => name === this.names[i])) return
    this.names = names
    this.changes += 1
  }

  #fail(error: SluiceError): void {
    if (this.#closed) return
    if (this.#failures === 0) this.#observer.failed(this.#name, error)
    this.#dueAt = this.#options.now() + Math.min(REFRESH_MS, FIRST_RETRY_MS * 2 ** this.#failures)
    this.#failures += 1
  }
}

/** A module may return anything, and an upstream any names. */
function readNames(listed: unknown): string[] {
  if (!Array.isArray(listed)) throw new SluiceError('provider_failed', 'The provider returned no list of models.')
  const names = listed.filter((name): name is string => typeof name === 'string' && NAME.test(name))
  return [...new Set(names)].slice(0, MAX_MODELS)
}
