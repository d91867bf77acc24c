import { onTestFinished, describe, expect, it } from 'vitest'
import type { ChatRequest, Provider, StreamEvent } from '../../providers/provider.ts'
import { checkEvent } from '../../src/stream/check-event.ts'
import { iterate } from '../support/iterate.ts'

/** A provider, and how to ask it for what every provider can do. */
export interface ProviderSubject {
  provider: Provider
  /** Asks for exactly this text. */
  answer(text: string): ChatRequest
  /** Asks for an answer that goes on for longer than anybody would read. */
  endless(): ChatRequest
  /** Asks for an answer of which nothing ever comes. */
  silent(): ChatRequest
}

interface Running {
  events: AsyncGenerator<StreamEvent, void, void>
  abort: AbortController
}

/** What every provider must do, whatever is behind it. */
export function describeProvider(name: string, create: () => ProviderSubject | Promise<ProviderSubject>): void {
  describe(`${name} as a provider`, () => {
    async function open(): Promise<ProviderSubject> {
      const subject = await create()
      onTestFinished(() => subject.provider.close?.())
      return subject
    }

    function start({ provider }: ProviderSubject, request: ChatRequest): Running {
      const abort = new AbortController()
      provider.check?.(request)
      const yielded = provider.stream(request, {
        signal: abort.signal,
        streamId: 'str_1',
        options: {},
        connectTimeoutMs: 10_000,
      })
      onTestFinished(() => abort.abort())
      return { events: flatten(yielded), abort }
    }

    it('answers in deltas, and ends with exactly one done', async () => {
      const subject = await open()
      const text = 'Grüße an alle 👋 – fin.\n\nEnde.'
      const events = await collect(start(subject, subject.answer(text)).events)
      expect(textOf(events)).toBe(text)
      expect(events.filter(({ type }) => type === 'done')).toEqual([events.at(-1)])
      expect(events.at(-1)).toMatchObject({ finish_reason: 'stop' })
    })

    it('counts what the request and its answer have cost', async () => {
      const subject = await open()
      const events = await collect(start(subject, subject.answer('one two')).events)
      const counts = { prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number) }
      expect(events.at(-1)).toMatchObject({ usage: { ...counts, total_tokens: expect.any(Number) } })
    })

    it('yields nothing but events', async () => {
      const subject = await open()
      for (const event of await collect(start(subject, subject.answer('one two three')).events))
        expect(checkEvent(event)).toBe(event)
    })

    it('does not mix two streams that run at once', async () => {
      const subject = await open()
      const texts = ['one two three four', 'eins zwei drei vier', 'un deux trois quatre']
      const running = texts.map((text) => collect(start(subject, subject.answer(text)).events))
      expect((await Promise.all(running)).map(textOf)).toEqual(texts)
    })

    it('stops when it is aborted in mid-stream', async () => {
      const subject = await open()
      const { events, abort } = start(subject, subject.endless())
      expect(await events.next()).toMatchObject({ done: false, value: { type: 'delta' } })
      abort.abort(new Error('enough'))
      // What it had in hand may still come, but neither the rest nor a word that this was all.
      const rest = await collectUntilStopped(events)
      expect(rest.filter(({ type }) => type === 'done')).toEqual([])
      expect(rest.length).toBeLessThan(10_000)
    })

    it('stops when it is aborted while it waits', async () => {
      const subject = await open()
      const { events, abort } = start(subject, subject.silent())
      const waiting = events.next().catch(() => ({ done: true }))
      abort.abort(new Error('enough'))
      expect(await waiting).toMatchObject({ done: true })
    })

    it('yields nothing when it was aborted before it began', async () => {
      const subject = await open()
      const { events, abort } = start(subject, subject.endless())
      abort.abort(new Error('enough'))
      expect(await collectUntilStopped(events)).toEqual([])
    })

    it('goes on with one stream when another is aborted or left', async () => {
      const subject = await open()
      const [aborted, left] = [start(subject, subject.endless()), start(subject, subject.endless())]
      const whole = start(subject, subject.answer('one two three'))
      await Promise.all([aborted.events.next(), left.events.next()])
      aborted.abort.abort(new Error('enough'))
      await left.events.return()
      expect(textOf(await collect(whole.events))).toBe('one two three')
    })
  })
}

async function* flatten(yielded: ReturnType<Provider['stream']>) {
  for await (const one of iterate(yielded)) yield* Array.isArray(one) ? (one as StreamEvent[]) : [one as StreamEvent]
}

async function collect(events: AsyncIterable<StreamEvent>): Promise<StreamEvent[]> {
  const all: StreamEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

/** A provider that was aborted may end or throw. */
async function collectUntilStopped(events: AsyncIterable<StreamEvent>): Promise<StreamEvent[]> {
  const all: StreamEvent[] = []
  try {
    for await (const event of events) all.push(event)
  } catch (error) {
    expect(error).toBeDefined()
  }
  return all
}

function textOf(events: readonly StreamEvent[]): string {
  return events.map((event) => (event.type === 'delta' ? (event.content ?? '') : '')).join('')
}
