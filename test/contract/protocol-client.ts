import type { EventSourceMessage } from 'eventsource-parser'

export type ProtocolName = 'native' | 'openai-chat' | 'anthropic-messages' | 'openai-responses' | 'ui-messages'

export type Fields = Record<string, unknown>

/** What an answer says, whatever protocol says it. */
export interface Said {
  text: string
  reasoning: string
  calls: { id: string; name: string; arguments: string }[]
  /** How it ended; absent when it has not ended well. */
  finish?: 'stop' | 'length' | 'tool_calls'
  /** Of the input, how much there was and how much of that was cached. */
  usage?: { input: number; cached: number; output: number }
  /** What it says when it failed. */
  error?: string
}

/** What an error body says, and the field that it names. */
export interface SaidError {
  message: string
  field?: string | undefined
}

/** One who speaks a protocol, and reads no more into it than is said. */
export interface ProtocolClient {
  name: ProtocolName
  path: string
  /** Whatever has to be in a request, and whether it asks for a stream. */
  request(stream: boolean): { headers: Record<string, string>; body: Fields }
  /** What the frames of a stream add up to. Throws when they cannot follow each other. */
  listen(frames: readonly EventSourceMessage[]): Said
  /** What an answer in one piece says. */
  read(body: Fields): Said
  /** Throws when it is no error of this protocol. */
  readError(body: Fields): SaidError
}

export function nothingSaid(): Said {
  return { text: '', reasoning: '', calls: [] }
}

export function expectThat(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise)
}

/** None when it is left out. */
export function toText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
