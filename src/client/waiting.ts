export interface Deferred<T> {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (reason: unknown) => void
}

/** `Promise.withResolvers`, which Node 20 does not have. */
export function deferred<T>(): Deferred<T> {
  let resolve: Deferred<T>['resolve'] = () => {}
  let reject: Deferred<T>['reject'] = () => {}
  const promise = new Promise<T>((...both) => {
    ;[resolve, reject] = both
  })
  return { promise, resolve, reject }
}

/** Returns the same promise; if nobody handles it, its rejection does not count as unhandled. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

/** The longest timer; a longer delay fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Resolves after `ms` or when `signal` is aborted; leaves no timer or listener behind. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = deferred<void>()
  const timer = setTimeout(resolve, Math.min(ms, LONGEST_TIMER_MS))
  const stop = () => resolve()
  signal.addEventListener('abort', stop)
  await promise
  clearTimeout(timer)
  signal.removeEventListener('abort', stop)
}

/**
 * Calls `onSilence` after `silenceMs()` without a sign of life; the first period is longer by `graceMs`. Uses one
 * timer: a chunk only updates the deadline.
 */
export function watchSilence(silenceMs: () => number, onSilence: () => void, graceMs = 0) {
  let deadline = performance.now() + silenceMs() + graceMs
  let timer: ReturnType<typeof setTimeout> | undefined
  const check = () => {
    const remaining = deadline - performance.now()
    if (remaining <= 0) onSilence()
    else timer = setTimeout(check, Math.min(remaining, silenceMs(), LONGEST_TIMER_MS))
  }
  check()
  return {
    /** Reports a sign of life. */
    pat: () => {
      deadline = performance.now() + silenceMs()
    },
    stop: () => clearTimeout(timer),
  }
}

interface Listens {
  addEventListener(type: string, listener: () => void, options: { signal: AbortSignal }): void
}

/** Globals of browsers and workers; other runtimes may lack them. */
interface Scope extends Partial<Listens> {
  setTimeout: unknown
  document?: Listens & { readonly visibilityState: string }
}

/** Watches a page's network state and visibility, where there is a page, until `signal` is aborted. */
export function watchPage(handlers: { onOnline: () => void; onVisible: () => void }, signal: AbortSignal): void {
  const scope: Scope = globalThis
  const { document } = scope
  const onVisibility = () => {
    if (document?.visibilityState === 'visible') handlers.onVisible()
  }
  scope.addEventListener?.('online', handlers.onOnline, { signal })
  document?.addEventListener('visibilitychange', onVisibility, { signal })
}
