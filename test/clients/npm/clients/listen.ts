import type { Heard, Target } from '../reader-kind.ts'

interface SourceEvent {
  data?: string
  lastEventId?: string
}

/** Whatever has the interface of a browser's EventSource. */
interface Source {
  addEventListener(type: string, listener: (event: SourceEvent) => void): void
  close(): void
}

export function listen(source: Source, { url, leftOpen }: Target, hear: (heard: Heard) => void): () => void {
  const close = () => source.close()
  source.addEventListener('open', () => hear({ type: 'open', stream: url }))
  for (const name of ['delta', 'done', 'message'])
    source.addEventListener(name, ({ data = '', lastEventId }) => hear({ type: 'event', name, id: lastEventId, data }))
  if (!leftOpen) source.addEventListener('done', close)
  return close
}
