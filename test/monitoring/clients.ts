import { expect } from 'vitest'
import type { Snapshot } from '../../src/protocols/native/native.ts'
import type { TestGateway } from '../support/gateway.ts'
import { chat, open, resume } from '../support/reader.ts'
import type { ScriptedProvider } from '../support/scripted-provider.ts'
import { add, Tally } from './tally.ts'

const messages = [{ role: 'user', content: 'How does a sluice work?' }]

/** Clients of all kinds, over sockets of their own. Whatever they do is counted in `tally`, frame by frame. */
export class Clients {
  readonly tally = new Tally()
  readonly #gateway: TestGateway
  readonly #scripted: ScriptedProvider

  constructor(gateway: TestGateway, scripted: ScriptedProvider) {
    this.#gateway = gateway
    this.#scripted = scripted
  }

  /** A stream that `target` answers, read to its end. */
  async native(target: string, fields: Record<string, unknown> = {}): Promise<void> {
    const reader = await chat(this.#gateway.url, { messages, model: target, ...fields })
    this.tally.stream('native', target, [await reader.end()])
  }

  async openai(target: string, fields: Record<string, unknown> = {}): Promise<void> {
    const body = { messages, model: target, stream: true, stream_options: { include_usage: true }, ...fields }
    const reader = await open(`${this.#gateway.url}/v1/chat/completions`, { method: 'POST', body })
    this.tally.stream('openai-chat', target, [await reader.end()])
    // The protocol does not tell what a failed stream has used.
    if (reader.body.includes('"error"')) {
      const snapshot = await open(`${this.#gateway.url}/v1/streams/${reader.id}`, {
        headers: { accept: 'application/json' },
      })
      const { usage } = (await snapshot.end()).json as Snapshot
      const [provider = '', model = ''] = target.split('/')
      add(this.tally.tokens, `${provider} ${model} prompt`, usage?.prompt_tokens)
      add(this.tally.tokens, `${provider} ${model} completion`, usage?.completion_tokens)
    }
  }

  async anthropic(target: string, fields: Record<string, unknown> = {}): Promise<void> {
    const body = { messages, model: target, stream: true, max_tokens: 1000, ...fields }
    const reader = await open(`${this.#gateway.url}/v1/messages`, { method: 'POST', body })
    this.tally.stream('anthropic-messages', target, [await reader.end()])
  }

  /** Stops a stream that would never end. */
  async cancel(): Promise<void> {
    const reader = await chat(this.#gateway.url, {
      messages,
      model: 'mock',
      mock: { tokens: 9, interval_ms: 5, stall_at: 4 },
    })
    await reader.until(({ ids }) => ids.length > 0)
    await open(`${this.#gateway.url}/v1/streams/${reader.id}`, { method: 'DELETE' })
    this.tally.stream('native', 'mock/mock', [await reader.end()])
  }

  /** Leaves a stream in a pause, when nothing is under way, and comes back for the rest. */
  async comeBack(): Promise<void> {
    const first = await chat(this.#gateway.url, { messages, model: 'scripted' })
    const run = await this.#scripted.nextRun()
    run.text('one', ' two', ' three')
    await first.until(({ ids }) => ids.at(-1) === 3)
    first.cut()
    const found = await this.#gateway.services.store.find(first.id, 'anonymous')
    // What is written before the gateway has noticed is counted, and nobody gets it.
    await expect.poll(() => found.status === 'found' && found.log.readers).toBe(0)
    run.text(' four', ' five')
    const second = await resume(this.#gateway.url, first.id, 3)
    await second.until(({ ids }) => ids.at(-1) === 5)
    run.done()
    await second.end()
    expect(first.text + second.text).toBe('one two three four five')
    add(this.tally.resumes, 'resumed')
    this.tally.stream('native', 'scripted/scripted', [first, second])
  }

  /** Comes back when all has been read, to what never was, and with a cursor that makes no sense. */
  async comeBackInVain(): Promise<void> {
    const reader = await chat(this.#gateway.url, { messages, model: 'mock', mock: { tokens: 3, interval_ms: 1 } })
    this.tally.stream('native', 'mock/mock', [await reader.end()])
    for (const [result, id, cursor, status] of [
      ['finished', reader.id, reader.ids.at(-1)!, 204],
      ['unknown', 'str_nothing', 1, 404],
      ['invalid', reader.id, 999, 400],
    ] as const) {
      expect((await resume(this.#gateway.url, id, cursor)).status).toBe(status)
      add(this.tally.resumes, result)
    }
  }
}
