import { parseStatus, type Status } from './parse-status.ts'

export type StatusUpdate = Status | 'draining' | 'unreachable' | 'unknown'

/** How long to wait before the feed is asked for again when it has ended for good, in milliseconds. */
const RETRY_MS = 3000

/** Follows the gateway's status while the page can be seen: browsers allow a host six connections in all tabs together. */
export function followStatus(onUpdate: (update: StatusUpdate) => void): void {
  let source: EventSource | undefined
  let retry: ReturnType<typeof setTimeout> | undefined
  /** A gateway of an older version has no feed. */
  let known = false

  function open(): void {
    close()
    let draining = false
    const opened = (source = new EventSource(new URL('v1/status', location.href)))
    opened.addEventListener('update', ({ data }) => {
      const status = parseStatus(String(data))
      if (!status) return
      known = true
      onUpdate(status)
    })
    opened.addEventListener('end', () => {
      draining = true
      onUpdate('draining')
    })
    opened.addEventListener('error', () => {
      if (!draining) onUpdate(known ? 'unreachable' : 'unknown')
      // Otherwise it comes back by itself.
      if (known && opened.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS)
    })
  }

  function close(): void {
    clearTimeout(retry)
    source?.close()
    source = undefined
  }

  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()))
  if (!document.hidden) open()
}
