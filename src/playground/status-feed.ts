import { parseStatus, type Status } from './gateway-info.ts'
import type { Fetch } from './gateway-key.ts'

export type StatusUpdate = Status | 'draining' | 'unreachable' | 'unknown'

/** `refused`: to ask again would not help, without another key. */
type FeedEnd = 'drained' | 'lost' | 'refused'

/** How long to wait before the feed is asked for again, in milliseconds. */
const RETRY_MS = 3000

/**
 * Follows the gateway's status while the page can be seen: browsers allow a host six connections in all tabs together.
 * By `fetch`, because an `EventSource` cannot send a key.
 */
export class StatusFeed {
  readonly #fetch: Fetch
  readonly #onUpdate: (update: StatusUpdate) => void
  #connection = new AbortController()
  #retry: ReturnType<typeof setTimeout> | undefined
  /** A gateway of an older version has no feed, and one with keys none for everybody. */
  #known = false
  #wanted = false

  constructor(fetch: Fetch, onUpdate: (update: StatusUpdate) => void) {
    this.#fetch = fetch
    this.#onUpdate = onUpdate
    document.addEventListener('visibilitychange', () => (document.hidden ? this.#close() : this.#open()))
  }

  /** Starts, or starts anew. */
  follow(): void {
    this.#wanted = true
    this.#open()
  }

  #open(): void {
    this.#close()
    if (!this.#wanted || document.hidden) return
    const { signal } = (this.#connection = new AbortController())
    void this.#read(signal).then((end) => this.#onEnd(end, signal))
  }

  #onEnd(end: FeedEnd, { aborted }: AbortSignal): void {
    if (aborted) return
    if (end === 'lost') this.#onUpdate(this.#known ? 'unreachable' : 'unknown')
    if (end === 'refused') this.#onUpdate('unknown')
    else this.#retry = setTimeout(() => this.#open(), RETRY_MS)
  }

  #close(): void {
    clearTimeout(this.#retry)
    this.#connection.abort()
  }

  /** One connection, until it ends. Never rejects. */
  async #read(signal: AbortSignal): Promise<FeedEnd> {
    const headers = { Accept: 'text/event-stream' }
    try {
      const response = await this.#fetch(new URL('v1/status', location.href), { headers, cache: 'no-store', signal })
      if (response.status === 204) return 'drained'
      if (!response.ok) return response.status >= 500 || response.status === 429 ? 'lost' : 'refused'
      for await (const { event, data } of readFrames(response)) {
        if (event === 'end') {
          this.#onUpdate('draining')
          return 'drained'
        }
        const status = event === 'update' ? parseStatus(data) : undefined
        if (!status || signal.aborted) continue
        this.#known = true
        this.#onUpdate(status)
      }
    } catch {
      // The network, or a page that is left.
    }
    return 'lost'
  }
}

interface Frame {
  event: string
  data: string
}

/** Frames with one line of data each, which is all that this feed has. */
async function* readFrames({ body }: Response): AsyncGenerator<Frame, void, void> {
  if (!body) return
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  for (let rest = ''; ;) {
    const { done, value = '' } = await reader.read()
    if (done) return
    const frames = (rest + value).split('\n\n')
    rest = frames.pop() ?? ''
    for (const frame of frames) yield { event: fieldOf(frame, 'event'), data: fieldOf(frame, 'data') }
  }
}

function fieldOf(frame: string, name: string): string {
  const start = `${name}: `
  const line = frame.split('\n').find((each) => each.startsWith(start))
  return line?.slice(start.length) ?? ''
}
