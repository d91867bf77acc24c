import { fetchEventSource } from '@microsoft/fetch-event-source'
import type { Read } from '../reader-kind.ts'

class Refused extends Error {}

export const read: Read = ({ url, post, leftOpen, closesWhenHidden = false, ownCursor = false }, hear) => {
  const leaving = new AbortController()
  let lastEventId = ''
  fetchEventSource(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': post!.idempotencyKey },
    body: post!.body,
    signal: leaving.signal,
    // Else it comes back twice when a page is hidden and shown while it waits to come back: everything is told twice.
    openWhenHidden: !closesWhenHidden,
    // Its own cursor moves when an `id` has come, not when the whole frame has: a cut in between would lose that.
    fetch(input, init) {
      const headers = new Headers(init?.headers)
      if (!ownCursor) headers.set('last-event-id', lastEventId)
      return fetch(input, { ...init, headers })
    },
    // Else any answer but a stream would be asked for again, without end: the one that refuses, and 204 after the end.
    async onopen({ status, headers }) {
      hear({ type: 'open', stream: headers.get('content-location') })
      if (status === 204) leaving.abort()
      else if (status !== 200) throw status < 500 ? new Refused(`status ${status}`) : new Error(`status ${status}`)
    },
    onerror(error) {
      if (error instanceof Refused) throw error
    },
    onmessage({ event, id, data }) {
      lastEventId = id || lastEventId
      hear({ type: 'event', name: event || 'message', id, data })
      if (event === 'done' && !leftOpen) leaving.abort()
    },
  }).catch((error: unknown) => {
    if (!(error instanceof Refused)) throw error
  })
  return () => leaving.abort()
}
