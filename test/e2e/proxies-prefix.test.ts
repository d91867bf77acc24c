import { expect, it } from 'vitest'
import { createClient } from '../../src/client/index.ts'
import { startGateway } from '../support/gateway.ts'
import { describeBehindProxies } from '../support/proxies/index.ts'
import { chat, open } from '../support/reader.ts'

const messages = [{ role: 'user', content: 'hi' }]
const mock = { text: 'Hello', interval_ms: 0 }

/** What pages link to and modules import. */
const REFERENCES = /(?: src="| href="|from"(?=\.)|import\("(?=\.))([^"#]+)/g

describeBehindProxies((start) => {
  it.each(['location', 'body'])('leads to a stream for which nobody waits, by its %s', async (by) => {
    const url = await start((await startGateway()).url)
    const created = await chat(url, { mock }, { headers: { prefer: 'respond-async' } })
    await created.end()
    expect(created.status).toBe(202)
    const path = by === 'body' ? (created.json as { url: string }).url : created.headers.location!
    const reader = await open(new URL(path, `${url}/v1/chat`).href)
    await reader.end()
    expect(reader.text).toBe('Hello')
  })

  it.each([
    ['/v1/chat', {}],
    ['/v1/chat/completions', { model: 'mock', stream: true }],
    ['/v1/messages', { model: 'mock', stream: true, max_tokens: 9 }],
  ])('leads from a stream of %s back to it', async (path, fields) => {
    const url = await start((await startGateway()).url)
    const body = { messages, mock, ...fields }
    const first = await (await open(url + path, { method: 'POST', body })).end()
    const again = await open(new URL(first.headers['content-location']!, url + path).href, {
      headers: { accept: 'text/event-stream' },
    })
    await again.end()
    expect(again.status).toBe(200)
    const frames = ({ body: text }: typeof again) => text.slice(text.indexOf('data:'))
    expect(frames(again)).toBe(frames(first))
  })

  it('lets the SDK chat, join and cancel', async () => {
    const client = createClient({ baseUrl: await start((await startGateway()).url) })
    const stream = client.chat({ messages: [{ role: 'user', content: 'hi' }], mock: { text: 'a b', stall_at: 1 } })
    const joined = client.attach(await stream.id)
    for await (const event of joined) if (event.type === 'delta' && event.content === 'a') break
    await stream.cancel()
    expect(await stream.text()).toBe('a')
    expect((await joined.final()).finish_reason).toBe('cancelled')
  })

  it('loads the playground, with all that it refers to', async () => {
    const url = await start((await startGateway()).url)
    const found = new Set([`${url}/`])
    for (const file of found) {
      const response = await fetch(file)
      expect(response.status, file).toBe(200)
      // What a set is given while it is walked through is walked through, too.
      for (const [, path] of (await response.text()).matchAll(REFERENCES)) found.add(new URL(path!, file).href)
    }
    expect(found).toContain(`${url}/playground/style.css`)
    expect([...found].join(' ')).toMatch(/\/playground\/message-\w+\.js/)
  })
})
