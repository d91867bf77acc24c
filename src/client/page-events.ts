interface Listens {
  addEventListener(type: string, listener: () => void): void
  removeEventListener(type: string, listener: () => void): void
}

/** Globals of browsers and workers; other runtimes may lack them. */
interface Scope extends Partial<Listens> {
  setTimeout: unknown
  document?: Listens & { readonly visibilityState: string }
}

/** Watches a page's network state and visibility, where there is a page. Returns a function that stops watching. */
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
