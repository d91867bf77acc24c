import { afterEach, beforeEach, expect } from 'vitest'
import { createClient, type Activity, type ChatEvent, type Client, type ClientOptions } from '../../src/client/index.ts'
import type { Provider, StreamEvent } from '../../providers/provider.ts'
import { Journal } from '../support/cutting-proxy.ts'

export const HI = { messages: [{ role: 'user' as const, content: 'hi' }] }

/** A client that loses no time between its attempts. */
export function clientOf({ url }: { url: string }, options: ClientOptions = {}): Client {
  return createClient({ baseUrl: url, backoff: () => 0, ...options })
}

/** What happens on the wire, to wait on. */
export class Wire extends Journal<Activity> {
  readonly onActivity = (activity: Activity) => this.add(activity)

  of<T extends Activity['type']>(type: T): Extract<Activity, { type: T }>[] {
    return this.entries.filter((entry): entry is Extract<Activity, { type: T }> => entry.type === type)
  }

  async untilCount(type: Activity['type'], count: number): Promise<void> {
    await this.until(() => this.of(type).length >= count)
  }
}

/** A provider whose every run tells the same, all at once. */
export function telling(events: readonly StreamEvent[], name = 'telling'): Provider & { runs: number } {
  return {
    name,
    models: [name],
    runs: 0,
    async *stream() {
      this.runs += 1
      yield events
    },
  }
}

export function words(...contents: string[]): StreamEvent[] {
  return [...contents.map((content) => ({ type: 'delta' as const, content })), { type: 'done', finish_reason: 'stop' }]
}

export async function collect(events: AsyncIterable<ChatEvent>): Promise<ChatEvent[]> {
  const all: ChatEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

/** Nothing in a test of this file may be rejected without anybody who listens. */
export function forbidUnhandledRejections(): void {
  const rejections: unknown[] = []
  const onRejection = (reason: unknown) => void rejections.push(reason)
  beforeEach(() => {
    process.on('unhandledRejection', onRejection)
  })
  afterEach(async () => {
    // They are announced when the microtasks of this turn are done.
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', onRejection)
    expect(rejections.splice(0)).toEqual([])
  })
}
