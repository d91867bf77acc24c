import { createEventSource } from 'eventsource-client'
import type { Read } from '../reader-kind.ts'

export const read: Read = ({ url, post, leftOpen }, hear) => {
  const source = createEventSource({
    url,
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': post!.idempotencyKey },
    body: post!.body,
    // It looks at no status but 204, so what was refused would be asked for again, without end; and it shows no headers.
    async fetch(...request) {
      const response = await fetch(...request)
      hear({ type: 'open', stream: response.headers.get('content-location') })
      if (response.status >= 400 && response.status < 500) source.close()
      return response
    },
    onMessage({ event: name = 'message', id, data }) {
      hear({ type: 'event', name, id, data })
      if (name === 'done' && !leftOpen) source.close()
    },
  })
  return () => source.close()
}
