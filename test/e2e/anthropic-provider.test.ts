import * as fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { anthropic } from '../../providers/anthropic/anthropic.ts'
import { anthropicOptions } from '../../providers/options.ts'
import type { ChatRequest, Provider, ProviderContext, StreamEvent } from '../../providers/provider.ts'
import { SluiceError } from '../../src/errors.ts'
import { sendCut, startUpstream, type Answer } from '../support/upstream.ts'
import { answers, eventsOf, recordings } from '../unit/anthropic-recordings.ts'
import { iterate } from '../support/iterate.ts'

const request: ChatRequest = { model: 'claude-opus-4-8', messages: [{ role: 'user', content: 'hi' }] }

function start(baseUrl: string, options: object = {}): Provider {
  const provider = anthropic({ name: 'anthropic', ...anthropicOptions.parse({ baseUrl, ...options }) })
  onTestFinished(async () => provider.close?.())
  return provider
}

/** Everything that a stream yields until it ends or fails. */
async function run(provider: Provider, context: Partial<ProviderContext> = {}, fields: object = {}) {
  const events: StreamEvent[] = []
  try {
    const signal = new AbortController().signal
    const stream = provider.stream(
      { ...request, ...fields },
      { signal, streamId: 'str_1', options: {}, connectTimeoutMs: 10_000, ...context },
    )
    for await (const yielded of iterate(stream)) {
      if ('type' in yielded) events.push(yielded)
      else events.push(...yielded)
    }
  } catch (error) {
    return { events, error }
  }
  return { events }
}

const sends =
  (body: Uint8Array | string): Answer =>
  (response) =>
    sendCut(response, typeof body === 'string' ? new TextEncoder().encode(body) : body, [])

describe('recorded streams, re-cut at random bytes', () => {
  it.each(answers)('%s', async (name) => {
    const bytes = recordings[name]!
    let cuts: number[] = []
    const upstream = await startUpstream((response) => sendCut(response, bytes, cuts))
    const provider = start(upstream.url)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 40 }), async (places) => {
        cuts = places
        expect(await run(provider)).toEqual({ events: eventsOf(name) })
      }),
      { numRuns: 15 },
    )
  })

  it('overloaded: what was said before it, and then the error', async () => {
    const bytes = recordings.overloaded!
    let cuts: number[] = []
    const upstream = await startUpstream((response) => sendCut(response, bytes, cuts))
    const provider = start(upstream.url)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 10 }), async (places) => {
        cuts = places
        const { events, error } = await run(provider)
        expect(events).toEqual([expect.objectContaining({ role: 'assistant' }), { type: 'delta', content: 'some' }])
        expect(error).toMatchObject({ code: 'upstream_unavailable', retryable: true, message: 'Overloaded' })
      }),
      { numRuns: 15 },
    )
  })
})

describe('what Anthropic is sent', () => {
  async function sent(options: object, context: Partial<ProviderContext> = {}, fields: object = {}) {
    const upstream = await startUpstream(sends(recordings.text!))
    await run(start(upstream.url, options), context, fields)
    return upstream.request(0)
  }

  it('is the request in its words, with the key and the version', async () => {
    const { path, headers, body } = await sent({ apiKey: 'sk-ant', headers: { 'X-Team': 'blue' }, maxTokens: 100 })
    expect(path).toBe('/v1/messages')
    expect(headers).toMatchObject({
      'x-api-key': 'sk-ant',
      'anthropic-version': '2023-06-01',
      'x-team': 'blue',
      accept: 'text/event-stream',
    })
    expect(headers).not.toHaveProperty('authorization')
    expect(headers).not.toHaveProperty('anthropic-beta')
    expect(body).toEqual({
      model: 'claude-opus-4-8',
      max_tokens: 100,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }],
      stream: true,
    })
  })

  it('is the key of this attempt, and of the client’s headers the version and the betas', async () => {
    const options = { apiKey: 'configured', headers: { 'Anthropic-Beta': 'one' } }
    const forwarded = { 'anthropic-version': '2024-01-01', 'anthropic-beta': 'two,three', cookie: 'no' }
    const { headers } = await sent(options, { apiKey: 'chosen', headers: forwarded })
    expect(headers).toMatchObject({
      'x-api-key': 'chosen',
      'anthropic-version': '2024-01-01',
      'anthropic-beta': 'one,two,three',
    })
    expect(headers).not.toHaveProperty('cookie')
  })

  it('is nothing when it cannot be expressed: that is said before the stream', () => {
    const provider = start('http://127.0.0.1:1')
    expect(() => provider.check?.({ ...request, n: 2 })).toThrow(SluiceError)
    expect(() => provider.check?.(request)).not.toThrow()
  })
})

describe('an upstream that fails', () => {
  const status =
    (code: number, type: string, headers: Record<string, string> = {}): Answer =>
    (response) => {
      response.writeHead(code, { 'content-type': 'application/json', ...headers })
      response.end(JSON.stringify({ type: 'error', error: { type, message: 'told so' }, request_id: 'req_1' }))
    }
  const begun = new TextDecoder().decode(recordings.text).split('event: content_block_stop')[0]!

  it.each<[what: string, answer: Answer, error: Record<string, unknown>]>([
    ['529', status(529, 'overloaded_error'), { code: 'upstream_unavailable', retryable: true, upstreamStatus: 529 }],
    ['500', status(500, 'api_error'), { code: 'upstream_unavailable' }],
    ['504', status(504, 'timeout_error'), { code: 'upstream_timeout' }],
    ['429', status(429, 'rate_limit_error', { 'retry-after': '7' }), { code: 'upstream_rate_limited', retryAfter: 7 }],
    ['400, in its words', status(400, 'invalid_request_error'), { code: 'upstream_rejected', message: 'told so' }],
    ['413', status(413, 'request_too_large'), { code: 'upstream_rejected', retryable: false }],
    ['404', status(404, 'not_found_error'), { code: 'upstream_not_found' }],
    [
      '401, not in its words',
      status(401, 'authentication_error'),
      { code: 'upstream_auth', message: 'The upstream answered 401.' },
    ],
    ['403', status(403, 'permission_error'), { code: 'upstream_auth' }],
    ['an end in mid-stream', sends(begun), { code: 'upstream_truncated' }],
    ['broken JSON', sends(`${begun}event: x\ndata: {"type":\n\n`), { code: 'upstream_invalid_response' }],
    [
      'a cut connection',
      async (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(begun, () => response.destroy())
      },
      { code: 'upstream_disconnected' },
    ],
  ])('with %s', async (_, answer, error) => {
    const upstream = await startUpstream(answer)
    expect((await run(start(upstream.url))).error).toMatchObject(error)
  })

  it('with broken JSON has said what came before it in the same read', async () => {
    const upstream = await startUpstream(sends(`${begun}event: x\ndata: {"type":\n\n`))
    const { events } = await run(start(upstream.url))
    expect(
      events
        .map((event) => event.type === 'delta' && event.content)
        .filter(Boolean)
        .join(''),
    ).toBe('Grüße 👋🏽,\nline two.')
  })

  it('by not being there', async () => {
    expect((await run(start('http://127.0.0.1:1'))).error).toMatchObject({ code: 'upstream_unreachable' })
  })
})

it('closes the upstream socket at once when it is aborted', async () => {
  const upstream = await startUpstream((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(new TextDecoder().decode(recordings.text).slice(0, 900))
  })
  const abort = new AbortController()
  const stream = start(upstream.url).stream(request, {
    signal: abort.signal,
    streamId: 'str_1',
    options: {},
    connectTimeoutMs: 10_000,
  })
  for await (const _ of iterate(stream)) break
  await (
    await upstream.request(0)
  ).closed
})

it('stops reading when it is aborted in silence', async () => {
  const upstream = await startUpstream((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
  })
  const abort = new AbortController()
  const running = run(start(upstream.url), { signal: abort.signal })
  const { closed } = await upstream.request(0)
  abort.abort(new Error('enough'))
  expect(await running).toMatchObject({ events: [], error: { message: 'enough' } })
  await closed
})
