interface Listens {
  addEventListener(type: string, listener: () => void): void
  removeEventListener(type: string, listener: () => void): void
}

/** What browsers and workers have and other runtimes may not. */
interface Scope extends Partial<Listens> {
  setTimeout: unknown
  document?: Listens & { readonly visibilityState: string }
}

/** Listens to what a page learns about its network, where there is a page; returns how to stop. */
export function watchPage(handlers: { onOnline: () => void; onVisible: () => void }): () => void {
  const scope: Scope = globalThis
  const { document } = scope
  const onVisibility = () => {
    if (document?.visibilityState === 'visible') handlers.onVisible()
  }
  scope.addEventListener?.('online', handlers.onOnline)
  document?.addEventListener('visibilitychange', onVisibility)
  return () => {
    scope.removeEventListener?.('online', handlers.onOnline)
    document?.removeEventListener('visibilitychange', onVisibility)
  }
}
