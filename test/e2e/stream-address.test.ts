import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, open } from '../support/reader.ts'

const quick = { mock: { text: 'a b', interval_ms: 0 } }

/** Every place where the address of a stream is said. */
async function addresses(headers: Record<string, string>, settings: Partial<Config> = {}) {
  const { url } = await startGateway(settings)
  const created = await (await chat(url, quick, { headers: { ...headers, prefer: 'respond-async' } })).end()
  const streamed = await (await chat(url, quick, { headers })).end()
  const whole = await (await chat(url, quick, { headers: { ...headers, accept: 'application/json' } })).end()
  const body = { ...quick, model: 'mock', messages: [{ role: 'user', content: 'hi' }], stream: true }
  const chunked = await (await open(`${url}/v1/chat/completions`, { method: 'POST', headers, body })).end()
  const withoutId = (address: unknown) =>
    String(address)
      .replace(/str_\w+/, 'ID')
      .replace(/\?ticket=.*/, '')
  return {
    location: withoutId(created.headers.location),
    url: withoutId((created.json as { url: string }).url),
    streamed: withoutId(streamed.headers['content-location']),
    whole: withoutId(whole.headers['content-location']),
    chunked: withoutId(chunked.headers['content-location']),
  }
}

function below(base: string) {
  const address = `${base}/v1/streams/ID`
  return {
    location: address,
    url: address,
    streamed: address,
    whole: address,
    chunked: `${address}?protocol=openai-chat`,
  }
}

describe('the address of a stream', () => {
  it('is a path on the gateway', async () => {
    expect(await addresses({})).toEqual(below(''))
  })

  it.each([
    ['/llm', '/llm'],
    ['/llm/', '/llm'],
    ['/a/b.c~d', '/a/b.c~d'],
    // Each of two proxies has taken a part.
    ['/outer, /inner/', '/outer/inner'],
  ])('has the prefix that a proxy has taken from the path: X-Forwarded-Prefix: %s', async (prefix, base) => {
    expect(await addresses({ 'x-forwarded-prefix': prefix })).toEqual(below(base))
  })

  it.each(['//evil.example', 'https://evil.example', 'llm', '/llm?x=', '/llm#', '/a b', '/\\evil.example', '/'])(
    'has no prefix that is not a path: %s',
    async (prefix) => {
      expect(await addresses({ 'x-forwarded-prefix': prefix })).toEqual(below(''))
    },
  )

  it('is absolute with PUBLIC_URL, whatever a proxy says', async () => {
    const publicUrl = 'https://chat.example/llm'
    expect(await addresses({ 'x-forwarded-prefix': '/other' }, { publicUrl })).toEqual(below(publicUrl))
  })
})
