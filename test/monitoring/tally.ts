import { expect } from 'vitest'
import type { Reader } from '../support/reader.ts'

/** Counts by labels, written like those of Prometheus: `native delta` → 12. */
export type Counts = Record<string, number>

interface Ending {
  finish: string
  prompt: number
  completion: number
}

export type ProtocolName = 'native' | 'openai-chat' | 'anthropic-messages'

/** What the clients have seen, by their own count: the gateway's metrics have to say the same. */
export class Tally {
  readonly frames: Counts = {}
  readonly bytes: Counts = {}
  readonly streams: Counts = {}
  readonly tokens: Counts = {}
  readonly firstTokens: Counts = {}
  readonly resumes: Counts = {}

  /** A stream that was read to its end, by one reader or by several in turn; `target` is who answered. */
  stream(protocol: ProtocolName, target: string, readers: readonly Reader[]): void {
    for (const reader of readers) this.#read(protocol, reader)
    const { finish, prompt, completion } = ENDINGS[protocol](readers.at(-1)!)
    const [provider = '', model = ''] = target.split('/')
    add(this.streams, `${provider} ${protocol} ${finish}`)
    add(this.tokens, `${provider} ${model} prompt`, prompt)
    add(this.tokens, `${provider} ${model} completion`, completion)
    add(this.firstTokens, provider)
  }

  /** Events and bytes of one connection, without what only keeps it alive. */
  #read(protocol: ProtocolName, { messages, body }: Reader): void {
    const events = messages.filter(({ event }) => event !== 'ping')
    const last = events.at(-1)!
    const dones = protocol === 'native' && last.event !== 'done' ? 0 : 1
    add(this.frames, `${protocol} delta`, events.length - dones)
    add(this.frames, `${protocol} done`, dones)
    const frames = body.replaceAll(/^: heartbeat\n|^retry: \d+\n|^event: ping\ndata: .*\n\n/gm, '')
    add(this.bytes, protocol, Buffer.byteLength(frames))
  }
}

/** How a stream says that it has ended, and what it cost. */
const ENDINGS: Record<ProtocolName, (reader: Reader) => Ending> = {
  native({ dones }) {
    expect(dones).toHaveLength(1)
    const { finish_reason, usage } = dones[0]!
    return { finish: finish_reason, prompt: usage?.prompt_tokens ?? 0, completion: usage?.completion_tokens ?? 0 }
  },
  'openai-chat'({ messages }) {
    const chunks = messages.filter(({ data }) => data !== '[DONE]').map(({ data }) => JSON.parse(data))
    const usage = chunks.findLast((chunk) => chunk.usage)?.usage
    const finish = chunks.findLast((chunk) => chunk.choices?.[0]?.finish_reason)?.choices[0].finish_reason
    return {
      finish: finish ?? (chunks.at(-1).error ? 'error' : 'none'),
      prompt: usage?.prompt_tokens ?? 0,
      completion: usage?.completion_tokens ?? 0,
    }
  },
  'anthropic-messages'({ messages }) {
    const events = messages.map(({ data }) => JSON.parse(data))
    const { delta, usage } = events.find(({ type }) => type === 'message_delta')
    expect(delta.stop_reason).toBe('end_turn')
    // Anthropic counts what came from the cache apart.
    const prompt = usage.input_tokens + (usage.cache_read_input_tokens ?? 0)
    return { finish: 'stop', prompt, completion: usage.output_tokens }
  },
}

export function add(counts: Counts, labels: string, amount = 1): void {
  if (amount > 0) counts[labels] = (counts[labels] ?? 0) + amount
}
