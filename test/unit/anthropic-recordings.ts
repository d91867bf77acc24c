import Anthropic from '@anthropic-ai/sdk'
import { readdirSync, readFileSync } from 'node:fs'
import { MessageReader } from '../../providers/anthropic/events.ts'
import type { StreamEvent } from '../../providers/provider.ts'
import { EventDecoder } from '../../src/sse/decode.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'

const folder = new URL('../fixtures/anthropic/', import.meta.url)

/** Streams as the Messages API sends them, by name. */
export const recordings: Record<string, Uint8Array> = Object.fromEntries(
  readdirSync(folder).map((name) => [name.replace(/\.sse$/, ''), readFileSync(new URL(name, folder))]),
)

/** Those that end in a message. */
export const answers = Object.keys(recordings).filter((name) => name !== 'overloaded')

/** What a reader makes of a recording. */
export function eventsOf(name: string): StreamEvent[] {
  const reader = new MessageReader()
  const messages = new EventDecoder().push(recordings[name]!)
  return [...messages.flatMap(({ data }) => reader.read(data)), ...reader.end()]
}

export function logOf(events: readonly StreamEvent[]): StreamLog {
  const log = new StreamLog({ id: 'str_1', owner: 'ada', model: 'public-name', provider: 'p', created: 0 })
  for (const event of events) log.append(event)
  return log
}

/** The message that Anthropic's own SDK makes of these frames. */
export async function sdkMessage(frames: string | Uint8Array): Promise<unknown> {
  const client = new Anthropic({
    apiKey: 'key',
    maxRetries: 0,
    fetch: () => Promise.resolve(new Response(frames, { headers: { 'content-type': 'text/event-stream' } })),
  })
  const messages = [{ role: 'user' as const, content: 'hi' }]
  const stream = client.beta.messages.stream({ model: 'm', max_tokens: 1, messages })
  return JSON.parse(JSON.stringify(await stream.finalMessage()))
}
