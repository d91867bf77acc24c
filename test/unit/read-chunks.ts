import { ChunkReader } from '../../providers/openai/chunks.ts'
import type { Delta, Done } from '../../providers/provider.ts'

/** A chunk with one choice, as OpenAI sends it, without what identifies the answer. */
export function chunk(delta: unknown, choice: Record<string, unknown> = {}, fields: Record<string, unknown> = {}) {
  return {
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason: null, ...choice }],
    ...fields,
  }
}

/** The `data` of a stream: objects as JSON, texts as they are. */
export function read(...chunks: unknown[]): Delta[] {
  const reader = new ChunkReader()
  return chunks.flatMap((each) => reader.read(typeof each === 'string' ? each : JSON.stringify(each)))
}

/** How a stream of these chunks ends. */
export function endOf(...chunks: unknown[]): Done {
  const reader = new ChunkReader()
  for (const each of chunks) reader.read(typeof each === 'string' ? each : JSON.stringify(each))
  return reader.end().at(-1) as Done
}
