/** More frames than anybody reads back. */
const KEPT = 4000

/** A frame as it was sent. */
export interface RawFrame {
  id: string
  event: string
  data: string
  /** All its lines, comments as well. */
  text: string
}

/** The frames of event streams, letter for letter. */
export class RawFrames {
  readonly #onFrame: (frame: RawFrame) => void
  readonly #byId = new Map<string, string>()
  #rest = ''

  constructor(onFrame: (frame: RawFrame) => void = () => {}) {
    this.#onFrame = onFrame
  }

  /** A new connection: what the one before left unfinished is not continued. */
  restart(): void {
    this.#rest = ''
  }

  push(text: string): void {
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    for (const block of blocks) this.#add(parse(block))
  }

  /** The frames with these ids, of which merged ones have the last of theirs. */
  between(first: number, last: number): string[] {
    const texts: string[] = []
    for (let id = first; id <= last; id++) {
      const text = this.#byId.get(String(id))
      if (text !== undefined) texts.push(text)
    }
    return texts
  }

  #add(frame: RawFrame): void {
    if (frame.id !== '') this.#byId.set(frame.id, frame.text)
    const [oldest] = this.#byId.keys()
    if (this.#byId.size > KEPT && oldest !== undefined) this.#byId.delete(oldest)
    this.#onFrame(frame)
  }
}

function parse(text: string): RawFrame {
  const fields = { id: '', event: '', data: [] as string[] }
  for (const line of text.split('\n')) {
    const [, name, value = ''] = /^(id|event|data): ?(.*)$/.exec(line) ?? []
    if (name === 'data') fields.data.push(value)
    else if (name === 'id' || name === 'event') fields[name] = value
  }
  return { ...fields, data: fields.data.join('\n'), text }
}

/** The same response, whose event stream is also given to `onText` as it comes. */
export function tapEventStream(response: Response, onText: (text: string) => void): Response {
  const isEventStream = response.headers.get('content-type')?.startsWith('text/event-stream')
  if (!response.ok || !response.body || !isEventStream) return response
  const decoder = new TextDecoder()
  const tap = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      onText(decoder.decode(chunk, { stream: true }))
      controller.enqueue(chunk)
    },
  })
  return new Response(response.body.pipeThrough(tap), response)
}
