import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config.ts'
import { startGateway } from '../support/gateway.ts'
import { chat } from '../support/reader.ts'
import { chatChunks, chunk, sendCut, startUpstream, type Answer } from '../support/upstream.ts'

function provider(baseUrl: string, more: Record<string, unknown> = {}): Config['providers'] {
  return { upstream: { type: 'openai', baseUrl, headers: {}, includeUsage: true, ...more } }
}

/** One whole answer through the gateway, as JSON. */
async function ask(answer: Answer, fields: Record<string, unknown> = {}) {
  const upstream = await startUpstream(answer)
  const gateway = await startGateway({ providers: provider(upstream.url) })
  const headers = { accept: 'application/json' }
  const reader = await (await chat(gateway.url, { model: 'upstream/m', ...fields }, { headers })).end()
  return { snapshot: reader.json as Record<string, unknown>, upstream, gateway }
}

const usage = { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14 }

/** What each recorded stream says, however its bytes are cut. */
const recordings: Record<string, Record<string, unknown>> = {
  'openai-text': {
    message: {
      content: 'Grüße 👋🏽,\nline two.',
      carried: { openai: { chunk: { service_tier: 'default', system_fingerprint: 'fp_1a2b' } } },
    },
    finish_reason: 'stop',
    model: 'gpt-4.1-2025-04-14',
    usage,
  },
  'openai-tools': {
    message: {
      content: null,
      tool_calls: [
        { id: 'call_a', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Köln"}' } },
        { id: 'call_b', type: 'function', function: { name: 'get_time', arguments: '{"zone":"CET"}' } },
      ],
    },
    finish_reason: 'tool_calls',
    usage,
  },
  'openai-refusal': { message: { refusal: "I can't help." }, finish_reason: 'stop', usage: { estimated: true } },
  'openai-logprobs': {
    message: {
      content: 'Hi!',
      carried: { openai: { choice: { logprobs: { content: [{ token: 'Hi' }, { token: '!' }] } } } },
    },
  },
  'deepseek-reasoning': {
    message: { content: '42.', reasoning: 'Let me think.' },
    usage: { completion_tokens: 7, prompt_cache_hit_tokens: 0 },
  },
  'openrouter-reasoning': {
    message: {
      content: 'Yes.',
      reasoning: 'Thinking',
      carried: { openai: { chunk: { provider: 'SomeCloud' }, choice: { native_finish_reason: 'end_turn' } } },
    },
    finish_reason: 'stop',
    usage: { total_tokens: 7, cost: 0.01 },
  },
  'mistral-thinking': { message: { content: 'Bonjour', reasoning: 'Hmm ok.' }, usage: { total_tokens: 6 } },
  'groq-no-space': {
    message: { content: 'Faster', carried: { openai: { chunk: { x_groq: { id: 'req_1' } } } } },
    finish_reason: 'stop',
  },
  'azure-filters': {
    message: { content: 'Fine', carried: { openai: { chunk: { prompt_filter_results: [{ prompt_index: 0 }] } } } },
    finish_reason: 'content_filter',
  },
  'vllm-crlf': { message: { content: 'one two' }, finish_reason: 'length', usage: { total_tokens: 3 } },
  'ollama-no-done': { message: { content: 'Lama' }, finish_reason: 'stop', status: 'finished' },
  'openai-two-choices': { message: { content: 'Aa' }, finish_reason: 'stop' },
}

describe('provider-shaped streams, re-cut at random bytes', () => {
  it.each(Object.entries(recordings))('%s', async (name, expected) => {
    const bytes = readFileSync(new URL(`../fixtures/openai/${name}.sse`, import.meta.url))
    let cuts: number[] = []
    const upstream = await startUpstream((response) => sendCut(response, bytes, cuts))
    const gateway = await startGateway({ providers: provider(upstream.url) })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 40 }), async (places) => {
        cuts = places
        const options = { headers: { accept: 'application/json' } }
        const reader = await (await chat(gateway.url, { model: 'upstream/m' }, options)).end()
        expect(reader.json).toMatchObject({ status: 'finished', error: null, ...expected })
      }),
      { numRuns: 15 },
    )
  })
})

describe('what an upstream is sent', () => {
  it('is the request with its unknown fields, the key, and a wish for usage', async () => {
    const upstream = await startUpstream((response) => sendCut(response, Buffer.from(chatChunks('[DONE]')), []))
    const gateway = await startGateway({
      providers: provider(`${upstream.url}/v1/`, { apiKey: 'sk-test', headers: { 'x-team': 'blue' } }),
    })
    const fields = { model: 'upstream/some/model', temperature: 0.5, top_k: 40, mock: { tokens: 1 } }
    await (await chat(gateway.url, fields)).end()
    const { path, headers, body } = await upstream.request(0)
    expect(path).toBe('/v1/chat/completions')
    expect(headers).toMatchObject({ authorization: 'Bearer sk-test', 'x-team': 'blue', accept: 'text/event-stream' })
    expect(body).toEqual({
      model: 'some/model',
      messages: [{ role: 'user', content: 'hi' }],
      temperature: 0.5,
      top_k: 40,
      stream: true,
      stream_options: { include_usage: true },
    })
  })
})

describe('an upstream that fails', () => {
  const text = chatChunks(chunk({ role: 'assistant', content: 'some' }))
  const stream =
    (body: string): Answer =>
    (response) =>
      sendCut(response, Buffer.from(body), [])
  const status =
    (code: number, body: string, headers: Record<string, string> = {}): Answer =>
    (response) => {
      response.writeHead(code, headers).end(body)
    }
  const json = JSON.stringify({ error: { message: 'told so', type: 'x' } })

  it.each<[what: string, answer: Answer, error: Record<string, unknown>]>([
    [
      '401 without telling its words',
      status(401, JSON.stringify({ error: { message: 'bad key sk-secret' } })),
      { code: 'upstream_auth', message: 'The upstream answered 401.' },
    ],
    ['400 in its own words', status(400, json), { code: 'upstream_rejected', message: 'told so', retryable: false }],
    ['404', status(404, json), { code: 'upstream_not_found' }],
    ['429', status(429, json, { 'retry-after': '7' }), { code: 'upstream_rate_limited', retryable: true }],
    [
      '500 with a page of HTML',
      status(500, '<html>oops</html>'),
      { code: 'upstream_unavailable', message: 'The upstream answered 500.' },
    ],
    [
      '200 with a page of HTML',
      status(200, '<html>hi</html>', { 'content-type': 'text/html' }),
      { code: 'upstream_invalid_response' },
    ],
    [
      '200 with an error as JSON',
      status(200, json, { 'content-type': 'application/json' }),
      { code: 'upstream_error', message: 'told so' },
    ],
    [
      'an error object in its stream',
      stream(text + chatChunks({ error: { message: 'too busy', code: 503 } })),
      { code: 'upstream_unavailable', message: 'too busy' },
    ],
    [
      'an error string in its stream',
      stream(text + chatChunks({ error: 'died' })),
      { code: 'upstream_error', message: 'died' },
    ],
    ['broken JSON', stream(`${text}data: {"choices":[{\n\n`), { code: 'upstream_invalid_response' }],
    ['something that is no chunk', stream(`${text}data: [1]\n\n`), { code: 'upstream_invalid_response' }],
    ['an end in mid-stream', stream(text), { code: 'upstream_truncated' }],
    [
      'a cut connection',
      async (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(text, () => response.destroy())
      },
      { code: 'upstream_disconnected', retryable: true },
    ],
  ])('with %s ends in done{error}', async (_, answer, error) => {
    const { snapshot } = await ask(answer)
    expect(snapshot).toMatchObject({ status: 'failed', finish_reason: 'error', error })
  })

  it('by not being there ends in done{error}', async () => {
    const gateway = await startGateway({ providers: provider('http://127.0.0.1:1') })
    const reader = await (await chat(gateway.url, { model: 'upstream/m' })).end()
    expect(reader.dones).toMatchObject([{ error: { code: 'upstream_unreachable', retryable: true } }])
  })

  it('says what it has said before, and no word of an upstream error reaches the log', async () => {
    const { snapshot, gateway } = await ask(stream(text + chatChunks({ error: { message: 'quoting the prompt' } })))
    expect(snapshot).toMatchObject({ message: { content: 'some' } })
    expect(JSON.stringify(gateway.logs)).not.toContain('quoting the prompt')
  })
})

it('a stream whose reader cancels closes the upstream socket at once', async () => {
  const upstream = await startUpstream((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(chatChunks(chunk({ content: 'first' })))
  })
  const gateway = await startGateway({ providers: provider(upstream.url) })
  const reader = await chat(gateway.url, { model: 'upstream/m' })
  await reader.until(({ text }) => text === 'first')
  await gateway.services.generations.cancel(reader.id)
  await (
    await upstream.request(0)
  ).closed
})
