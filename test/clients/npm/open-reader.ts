import { expect } from 'vitest'
import type { Config } from '../../../src/config.ts'
import { startCuttingProxy } from '../../support/cutting-proxy.ts'
import { startGateway } from '../../support/gateway.ts'
import { ScriptedProvider, type Run } from '../../support/scripted-provider.ts'
import type { ReaderKind, Target } from './reader-kind.ts'

const BODY = JSON.stringify({ model: 'scripted', messages: [{ role: 'user', content: 'hi' }] })

/** One stream, and what a client hears of it. */
export interface Reading {
  run: Run
  /** Every event, an empty one too: name, id, and its text or how the stream ended. */
  events: () => [name: string, id: number, text: string][]
  /** Waits until this is all that was heard of text. */
  text: (text: string) => Promise<void>
  done: () => Promise<void>
  close: () => Promise<void>
  /** Stops the stream, for everybody. */
  stop: () => Promise<void>
}

/** A gateway, a proxy before it that cuts, and the client, which reads through the proxy. */
export async function openReader(kind: ReaderKind, settings: Partial<Config> = {}) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway(settings, { providers: [provider] })
  const proxy = await startCuttingProxy(gateway.url, { page: await kind.page() })
  const client = await kind.open(proxy.url)
  let readings = 0

  /** A client that can only GET reads what somebody else has created. */
  async function findTarget(reading: number): Promise<Target> {
    if (kind.posts) return { url: `${proxy.url}/v1/chat`, post: { idempotencyKey: `reading ${reading}`, body: BODY } }
    const headers = { 'content-type': 'application/json', prefer: 'respond-async' }
    const created = await fetch(`${gateway.url}/v1/chat`, { method: 'POST', headers, body: BODY })
    const { url } = (await created.json()) as { url: string }
    return { url: `${proxy.url}${url}` }
  }

  async function start(options: Pick<Target, 'leftOpen' | 'closesWhenHidden' | 'ownCursor'> = {}): Promise<Reading> {
    const reading = readings++
    await client.read(reading, { ...(await findTarget(reading)), ...options })
    const heard = () => client.reports.entries.filter((report) => report.reading === reading)
    const events: Reading['events'] = () =>
      heard().flatMap((report) => {
        if (report.type === 'open') return []
        const { content, finish_reason } = JSON.parse(report.data || '{}')
        return [[report.name, Number(report.id), String(content ?? finish_reason)]]
      })
    const text = () => events().flatMap(([name, , content]) => (name === 'delta' ? content : []))
    return {
      run: await provider.nextRun(),
      events,
      text: async (awaited) => void (await client.reports.until(() => text().join('') === awaited)),
      done: async () => void (await client.reports.until(() => events().some(([name]) => name === 'done'))),
      close: () => client.close(reading),
      async stop() {
        const stream = heard().find((report) => report.type === 'open')?.stream
        if (!stream) throw new Error('The client did not tell where its stream is')
        const { status } = await fetch(new URL(stream, gateway.url), { method: 'DELETE' })
        expect(status).toBe(204)
      },
    }
  }

  /** Asks for what cannot be had, until that has been said. */
  async function beRefused(): Promise<void> {
    const before = proxy.requests.entries.length
    const post = { idempotencyKey: 'refused', body: '{}' }
    await client.read(
      readings++,
      kind.posts ? { url: `${proxy.url}/v1/chat`, post } : { url: `${proxy.url}/v1/streams/unknown` },
    )
    await proxy.requests.until((all) => all.length > before)
  }

  /** All that was asked through the proxy, as the cursor and the answer. */
  const asked = () =>
    proxy.requests.entries.map(({ path, lastEventId, status }) => {
      const cursor = new URL(path, proxy.url).searchParams.get('lastEventId') ?? lastEventId
      return [cursor || undefined, status]
    })

  /** Until whoever waits must have asked again: a client is told to wait for 3 s at most, and another 1 s at least. */
  async function outwait(): Promise<void> {
    const before = proxy.requests.entries.length
    await start()
    for (const times of [1, 2, 3, 4]) {
      await proxy.requests.until((all) => all.length >= before + times)
      if (times < 4) proxy.cut()
    }
  }

  return { provider, gateway, proxy, start, beRefused, asked, outwait }
}
