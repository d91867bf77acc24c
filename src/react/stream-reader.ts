import type { ChatBody, ChatOptions, ChatStream, Client, Message, StreamOptions } from '../client/index.ts'
import { createIdempotencyKey } from '../client/requests.ts'

/**
 * - `connecting`: no response yet, or the connection was lost and is made again
 * - `streaming`: connected; the first token may still take its time
 */
export type StreamStatus = 'idle' | 'connecting' | 'streaming' | 'finished' | 'cancelled' | 'failed'

export interface StreamState {
  /** The answer so far: its texts while it streams; once it has ended all of it, with tool calls and `carried`. */
  message: Message | undefined
  status: StreamStatus
  /** Why the stream failed. */
  error: unknown
  /** The stream's id, to be kept by the app that wants to join the stream again after a reload. */
  id: string | undefined
}

const IDLE: StreamState = { message: undefined, status: 'idle', error: undefined, id: undefined }

export type SendOptions = Pick<ChatOptions, 'idempotencyKey'>

type Open = (options: StreamOptions) => ChatStream

interface Reading {
  stream: ChatStream
  leave: AbortController
  client: Client
  open: Open
}

/** Reads one stream at a time and tells its listeners, in the form that `useSyncExternalStore` asks for. */
export class StreamReader {
  #state = IDLE
  #reading: Reading | undefined
  readonly #listeners = new Set<() => void>()

  readonly getState = (): StreamState => this.#state

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  send(client: Client, body: ChatBody, options?: SendOptions): ChatStream {
    // The key joins the stream again when it is left before it has an id.
    const idempotencyKey = options?.idempotencyKey ?? createIdempotencyKey()
    return this.#read(client, (reading) => client.chat(body, { idempotencyKey, ...reading }), IDLE)
  }

  attach(client: Client, id: string): ChatStream {
    // What is shown of this stream stays until there is more.
    const shown = id === this.#state.id ? this.#state : { ...IDLE, id }
    return this.#read(client, (reading) => client.attach(id, reading), shown)
  }

  async stop(): Promise<void> {
    await this.#reading?.stream.cancel()
  }

  /** Closes the connection; the stream runs on, for other readers or to be joined again. */
  leave(): void {
    this.#reading?.leave.abort()
  }

  /** Goes on with a stream that was left before its end, as by the second mount of StrictMode. */
  rejoin(): void {
    const { status, id } = this.#state
    if (!this.#reading?.leave.signal.aborted || (status !== 'connecting' && status !== 'streaming')) return
    const { client, open } = this.#reading
    if (id === undefined) this.#read(client, open, this.#state)
    else this.attach(client, id)
  }

  #read(client: Client, open: Open, shown: StreamState): ChatStream {
    this.leave()
    const leave = new AbortController()
    // A stream that has been left tells nothing any more.
    const update = (change: Partial<StreamState>) => {
      if (leave.signal.aborted) return
      this.#state = { ...this.#state, ...change }
      for (const listener of this.#listeners) listener()
    }
    this.#state = shown
    update({ status: 'connecting', error: undefined })
    const stream = open({
      signal: leave.signal,
      onActivity({ type }) {
        if (type === 'disconnect') update({ status: 'connecting' })
        if (type === 'bytes') update({ status: 'streaming' })
        // More than once when the client has to ask for the stream again.
        if (type === 'response')
          stream.id.then(
            (id) => update({ id }),
            () => {},
          )
      },
    })
    this.#reading = { stream, leave, client, open }
    void follow(stream, update)
    return stream
  }
}

async function follow(stream: ChatStream, update: (change: Partial<StreamState>) => void): Promise<void> {
  // From the start: the rules of whole messages are loaded while there is a network.
  const final = stream.final()
  const message: Message = { role: 'assistant', content: null }
  try {
    for await (const event of stream) {
      if (event.type === 'done' || event.index) continue
      for (const name of ['content', 'reasoning', 'refusal'] as const)
        if (event[name]) message[name] = (message[name] ?? '') + event[name]
      update({ message: { ...message } })
    }
    const { message: whole, finish_reason } = await final
    update({ message: whole, status: finish_reason === 'cancelled' ? 'cancelled' : 'finished' })
  } catch (error) {
    update({ status: 'failed', error })
  }
}
