import { isRecord } from './gateway-info.ts'
import type { Fetch } from './gateway-key.ts'
import { RawFrames, tapEventStream, type RawFrame } from './raw-frames.ts'

/** Protocols in which the gateway sends any of its streams, with the names that people know. */
export const PROTOCOLS = {
  native: 'Sluice',
  'openai-chat': 'Chat Completions',
  'openai-responses': 'Responses',
  'anthropic-messages': 'Anthropic Messages',
  'ui-messages': 'useChat',
} as const

export type ProtocolName = keyof typeof PROTOCOLS
export type ForeignProtocol = Exclude<ProtocolName, 'native'>

export function isProtocol(name: string): name is ProtocolName {
  return name in PROTOCOLS
}

export function streamPath(id: string, protocol: ProtocolName): string {
  return `v1/streams/${id}${protocol === 'native' ? '' : `?protocol=${protocol}`}`
}

export interface ProtocolReaderOptions {
  fetch: Fetch
  onText: (text: string) => void
  onFrame: (frame: RawFrame) => void
}

/** Reads a stream in a protocol that is not the SDK's: once, from its beginning, frame by frame. */
export class ProtocolReader {
  /** The text of the answer; undefined when the stream was not read to its end. Never rejects. */
  readonly text: Promise<string | undefined>
  readonly #leave = new AbortController()
  /** Why it was not read to its end. */
  failure = ''

  constructor(id: string, protocol: ForeignProtocol, options: ProtocolReaderOptions) {
    this.text = this.#read(new URL(streamPath(id, protocol), new URL('.', location.href)), protocol, options)
  }

  get left(): boolean {
    return this.#leave.signal.aborted
  }

  leave(): void {
    this.#leave.abort()
  }

  async #read(url: URL, protocol: ForeignProtocol, { fetch, onText, onFrame }: ProtocolReaderOptions) {
    let whole = ''
    let ended = false
    const frames = new RawFrames((frame) => {
      onFrame(frame)
      const text = textOf(frame, protocol)
      ended ||= isEnd(frame, protocol)
      whole += text
      if (text !== '') onText(text)
    })
    try {
      const headers = { Accept: 'text/event-stream' }
      const response = await fetch(url, { headers, cache: 'no-store', signal: this.#leave.signal })
      if (!response.ok) throw new Error(await reasonOf(response))
      await drain(tapEventStream(response, (text) => frames.push(text)))
      if (ended) return whole
      this.failure = 'The connection ended before the stream did.'
    } catch (error) {
      this.failure = error instanceof Error ? error.message : String(error)
    }
    return undefined
  }
}

async function drain({ body }: Response): Promise<void> {
  await body?.pipeTo(new WritableStream())
}

async function reasonOf(response: Response): Promise<string> {
  const body: unknown = await response.json().catch(() => undefined)
  const error = isRecord(body) && isRecord(body.error) ? body.error : undefined
  const reason = isRecord(body) && typeof body.detail === 'string' ? body.detail : error?.message
  return typeof reason === 'string' ? reason : `The gateway answered with status ${response.status}.`
}

/** What a frame adds to the text of the answer. */
function textOf({ event, data }: RawFrame, protocol: ForeignProtocol): string {
  const body = parseData(data)
  const text = (() => {
    switch (protocol) {
      case 'openai-chat': {
        const choice: unknown = Array.isArray(body?.choices) ? body.choices[0] : undefined
        return isRecord(choice) && isRecord(choice.delta) ? choice.delta.content : undefined
      }
      case 'openai-responses':
        return event === 'response.output_text.delta' ? body?.delta : undefined
      case 'anthropic-messages':
        return isRecord(body?.delta) && body.delta.type === 'text_delta' ? body.delta.text : undefined
      case 'ui-messages':
        return body?.type === 'text-delta' ? body.delta : undefined
    }
  })()
  return typeof text === 'string' ? text : ''
}

function isEnd({ event, data }: RawFrame, protocol: ForeignProtocol): boolean {
  switch (protocol) {
    case 'openai-chat':
    case 'ui-messages':
      return data === '[DONE]'
    case 'openai-responses':
      return /^response\.(?:completed|incomplete|failed)$/.test(event)
    case 'anthropic-messages':
      return event === 'message_stop'
  }
}

function parseData(data: string): Record<string, unknown> | undefined {
  try {
    const body: unknown = JSON.parse(data)
    return isRecord(body) ? body : undefined
  } catch {
    return undefined
  }
}
