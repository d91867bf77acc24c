import { create, find } from './dom.ts'
import type { Status } from './gateway-info.ts'
import type { StatusUpdate } from './status-feed.ts'
import { formatDuration, plural } from './wording.ts'

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
    this.#showItems(status, [
      ['state', status],
      ['connections', plural(connections, 'reader')],
      ['streams', plural(streams, 'stream')],
      ...providers.map(({ name, breakers_open: open }): [string, string] =>
        open > 0 ? ['provider broken', `${name} (breaker open)`] : ['provider', name],
      ),
      ['version', `v${version}, up ${formatDuration(Date.now() - started)}`],
    ])
  }

  #showItems(state: string, items: [name: string, text: string][]): void {
    this.#element.hidden = false
    this.#element.dataset.state = state
    this.#element.replaceChildren(...items.map(([name, text]) => create('li', name, text)))
  }
}
