import { create, find } from './dom.ts'
import { parseStatus, type Status } from './gateway-info.ts'
import { formatDuration, plural } from './wording.ts'

export type StatusUpdate = Status | 'draining' | 'unreachable' | 'unknown'

/** The header's line about the gateway. */
export class StatusView {
  readonly #element = find('status', HTMLElement)
  #latest: Status | undefined

  constructor() {
    // What is shown of time goes on without news.
    setInterval(() => this.#latest && this.#showStatus(this.#latest), 1000)
  }

  show(update: StatusUpdate): void {
    this.#latest = typeof update === 'string' ? undefined : update
    if (this.#latest) this.#showStatus(this.#latest)
    else if (update === 'unknown') this.#element.hidden = true
    else if (typeof update === 'string') this.#showItems(update, [['state', update]])
  }

  #showStatus({ status, version, started, connections, streams, providers }: Status): void {
    const broken = providers.filter(({ breakers_open: open }) => open > 0).map(({ name }) => name)
    this.#showItems(broken.length > 0 ? 'degraded' : status, [
      ['state', status],
      ['connections', plural(connections, 'reader')],
      ['streams', plural(streams, 'stream')],
      ['providers', providers.map(({ name }) => (broken.includes(name) ? `${name} (breaker open)` : name)).join(', ')],
      ['version', `v${version}, up ${formatDuration(Date.now() - started)}`],
    ])
  }

  #showItems(state: string, items: [name: string, text: string][]): void {
    this.#element.hidden = false
    this.#element.dataset.state = state
    this.#element.replaceChildren(...items.map(([name, text]) => create('li', name, text)))
  }
}

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
