import { SSE, type SSEvent } from 'sse.js'
import type { Read } from '../reader-kind.ts'

export const read: Read = ({ url, post, leftOpen }, hear) => {
  const source = new SSE(url, {
    headers: { 'content-type': 'application/json', 'idempotency-key': post!.idempotencyKey },
    payload: post!.body,
    autoReconnect: true,
    start: false,
  })
  source.addEventListener('open', ({ headers }: SSEvent) =>
    hear({ type: 'open', stream: headers?.['content-location']?.[0] }),
  )
  for (const name of ['delta', 'done', 'message'])
    source.addEventListener(name, ({ id, data }: SSEvent) => hear({ type: 'event', name, id, data }))
  if (!leftOpen) source.addEventListener('done', () => source.close())
  // It would ask again for what was refused, without end.
  source.addEventListener('error', ({ responseCode = 0 }: SSEvent) => {
    if (responseCode >= 400 && responseCode < 500) source.close()
  })
  source.stream()
  return () => source.close()
}
