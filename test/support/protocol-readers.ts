import type { EventSourceMessage } from 'eventsource-parser'
import { chat, open, resume, type Reader } from './reader.ts'

/** How a client of one protocol asks, comes back and understands. */
export interface ProtocolReader {
  /** @param headers for a `POST` that comes back: its key and its cursor */
  create: (url: string, fields: object, headers: Record<string, string>) => Promise<Reader>
  /** @param id of the stream, on any node */
  read: (url: string, id: string, cursor: number) => Promise<Reader>
  /** The texts, thoughts and arguments in a frame, in their order. */
  said: (message: EventSourceMessage) => string
  /** Whether the stream ends with this frame. */
  isEnd: (message: EventSourceMessage) => boolean
}

interface Said {
  content?: string | null
  reasoning?: string
  reasoning_content?: string
  tool_calls?: { function?: { arguments?: string } }[]
}

export function textsOf({ content, reasoning, reasoning_content: thought, tool_calls: calls = [] }: Said): string {
  return [reasoning ?? thought, content, ...calls.map((call) => call.function?.arguments)].join('')
}

const messages = [{ role: 'user', content: 'hi' }]

const native: ProtocolReader = {
  create: (url, fields, headers) => chat(url, { ...fields }, { headers }),
  read: (url, id, cursor) => resume(url, id, cursor),
  said: ({ event, data }) => (event === 'delta' ? textsOf(JSON.parse(data)) : ''),
  isEnd: ({ event }) => event === 'done',
}

const openaiChat: ProtocolReader = {
  create: (url, fields, headers) =>
    open(`${url}/v1/chat/completions`, { method: 'POST', headers, body: { messages, stream: true, ...fields } }),
  read: (url, id, cursor) => resume(url, `${id}?protocol=openai-chat`, cursor),
  said: ({ data }) => {
    if (data === '[DONE]') return ''
    const { choices = [] } = JSON.parse(data) as { choices?: { delta: Said }[] }
    return choices.map(({ delta }) => textsOf(delta)).join('')
  },
  // Its other frames at the end have no id of their own.
  isEnd: ({ data }) => data === '[DONE]' || 'error' in JSON.parse(data),
}

const responses: ProtocolReader = {
  create: (url, fields, headers) =>
    open(`${url}/v1/responses`, { method: 'POST', headers, body: { input: 'hi', stream: true, ...fields } }),
  read: (url, id, cursor) =>
    open(`${url}/v1/responses/${id.replace('str_', 'resp_')}?stream=true${cursor ? `&starting_after=${cursor}` : ''}`),
  said: ({ data }) => {
    const { delta } = JSON.parse(data) as { delta?: string }
    return delta ?? ''
  },
  isEnd: ({ event = '' }) => /^response\.(completed|failed|incomplete|cancelled)$/.test(event),
}

export const PROTOCOL_READERS = { native, 'openai-chat': openaiChat, responses }

export type ReaderProtocol = keyof typeof PROTOCOL_READERS
