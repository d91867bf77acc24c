import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { streamDigest } from '../../src/telemetry/redact.ts'
import { refuses } from '../support/anthropic-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { Http2Connection } from '../support/http2-client.ts'
import { ROOT, startSluice } from '../support/process.ts'
import { chat, open, resume } from '../support/reader.ts'
import { TLS } from '../support/tls.ts'
import { startTraceCollector, type CollectedSpan } from '../support/trace-collector.ts'
import { chatChunks, chunk, startUpstream, type Answer } from '../support/upstream.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const CALLER = 'b7ad6b7169203331'
const TRACEPARENT = `00-${TRACE}-${CALLER}-01`

/** Longer than any test waits. */
const AN_HOUR = '3600000'

/** The program with the recipe for tracing, told to send what it has only at its end unless `env` says otherwise. */
async function startTraced(env: Record<string, string> = {}) {
  const collector = await startTraceCollector()
  const sluice = await startSluice({
    env: {
      NODE_OPTIONS: `--import ${pathToFileURL(join(ROOT, 'examples/tracing.js')).href}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: AN_HOUR,
      ...env,
    },
  })
  return {
    url: sluice.url,
    spans: collector.spans,
    /** Ends the program, and is all that it has sent until then. */
    async stop(): Promise<readonly CollectedSpan[]> {
      sluice.kill('SIGTERM')
      expect(await sluice.exited).toBe(0)
      return collector.spans.entries
    },
  }
}

const server = (spans: readonly CollectedSpan[]) => spans.filter(({ kind }) => kind === 'server')
const client = (spans: readonly CollectedSpan[]) => spans.filter(({ kind }) => kind === 'client')

const speaks: Answer = (response) => {
  const usage = { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14 }
  response
    .writeHead(200, { 'content-type': 'text/event-stream' })
    .end(
      chatChunks(
        chunk({ role: 'assistant', content: 'Hel' }),
        chunk({ content: 'lo' }),
        chunk({}, { finish_reason: 'stop' }),
        { id: 'chatcmpl-1', object: 'chat.completion.chunk', model: 'gpt-test', choices: [], usage },
        '[DONE]',
      ),
    )
}

describe('with an SDK, as the recipe registers it', () => {
  it('a request and its attempt are spans of the trace that the client began, and the upstream hears of it', async () => {
    const upstream = await startUpstream(speaks)
    const traced = await startTraced({ OPENAI_BASE_URL: upstream.url })
    const headers = { traceparent: TRACEPARENT, tracestate: 'vendor=1', baggage: 'user=42' }
    const fields = { model: 'openai/gpt-x', temperature: 0.5, max_tokens: 100 }
    const reader = await (await chat(traced.url, fields, { headers })).end()
    const spans = await traced.stop()

    expect(spans).toHaveLength(2)
    const [request] = server(spans) as [CollectedSpan]
    expect(request).toMatchObject({
      service: 'sluice',
      name: 'POST /v1/chat',
      traceId: TRACE,
      parentId: CALLER,
      events: ['first_token'],
      status: 'unset',
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/v1/chat',
        'url.path': '/v1/chat',
        'url.scheme': 'http',
        'http.response.status_code': 200,
        'sluice.stream.digest': streamDigest(reader.id),
      },
    })
    const [attempt] = client(spans) as [CollectedSpan]
    expect(attempt).toMatchObject({ traceId: TRACE, parentId: request.id, events: ['first_token'], status: 'unset' })
    expect(attempt.name).toBe('chat gpt-x')
    expect(attempt.attributes).toStrictEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-x',
      'gen_ai.request.stream': true,
      'gen_ai.request.max_tokens': 100,
      'gen_ai.request.temperature': 0.5,
      'gen_ai.response.model': 'gpt-test',
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.response.time_to_first_chunk': expect.any(Number),
      'gen_ai.usage.input_tokens': 9,
      'gen_ai.usage.output_tokens': 5,
      'sluice.stream.digest': streamDigest(reader.id),
    })
    expect(upstream.requests[0]!.headers).toMatchObject({
      traceparent: `00-${TRACE}-${attempt.id}-01`,
      tracestate: 'vendor=1',
    })
    expect(upstream.requests[0]!.headers).not.toHaveProperty('baggage')
  })

  it('each retry is a span of its own, which the upstream can tell from the other', async () => {
    const upstream = await startUpstream((response, request) =>
      upstream.requests.length === 1 ? void response.writeHead(503).end('busy') : speaks(response, request),
    )
    const traced = await startTraced({ OPENAI_BASE_URL: upstream.url })
    await (await chat(traced.url, { model: 'openai/gpt-x' })).end()
    const spans = await traced.stop()
    const [request] = server(spans) as [CollectedSpan]
    const attempts = client(spans)
    expect(request.parentId).toBe('')
    expect(attempts).toMatchObject([
      {
        parentId: request.id,
        status: 'error',
        events: [],
        attributes: { 'error.type': 'upstream_unavailable', 'http.response.status_code': 503 },
      },
      { parentId: request.id, status: 'unset', attributes: { 'gen_ai.response.finish_reasons': ['stop'] } },
    ])
    const heard = upstream.requests.map(({ headers }) => headers.traceparent)
    expect(heard).toEqual(attempts.map(({ traceId, id }) => `00-${traceId}-${id}-01`))
  })

  it('an upstream that refuses leaves an error on both spans, and none of its words', async () => {
    const upstream = await startUpstream(refuses(401, 'authentication_error'))
    const traced = await startTraced({ ANTHROPIC_BASE_URL: upstream.url, ANTHROPIC_API_KEY: 'sk-secret' })
    const body = { model: 'anthropic/claude-x', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }
    const headers = { traceparent: TRACEPARENT }
    const reader = await (await open(`${traced.url}/v1/messages`, { method: 'POST', body, headers })).end()
    expect(reader.status).toBe(502)
    const spans = await traced.stop()
    const [request] = server(spans) as [CollectedSpan]
    const [attempt] = client(spans) as [CollectedSpan]
    expect(request).toMatchObject({
      name: 'POST /v1/messages',
      status: 'error',
      attributes: { 'error.type': 'upstream_auth', 'http.response.status_code': 502 },
    })
    expect(attempt).toMatchObject({
      status: 'error',
      attributes: { 'error.type': 'upstream_auth', 'http.response.status_code': 401 },
    })
    expect(upstream.requests[0]!.headers.traceparent).toBe(`00-${TRACE}-${attempt.id}-01`)
    expect(JSON.stringify(spans)).not.toMatch(/Told so|sk-secret/)
  })

  it('a request ends with its response, and its attempt goes on until the answer is whole', async () => {
    let answer: ServerResponse | undefined
    const upstream = await startUpstream((response) => {
      answer = response.writeHead(200, { 'content-type': 'text/event-stream' })
      answer.write(chatChunks(chunk({ content: 'before ' })))
    })
    const traced = await startTraced({ OPENAI_BASE_URL: upstream.url, OTEL_BSP_SCHEDULE_DELAY: '10' })
    const first = await chat(traced.url, { model: 'openai/gpt-x' })
    await first.until(({ text }) => text === 'before ')
    first.cut()
    const sent = await traced.spans.until((spans) => spans.length > 0)
    expect(sent).toMatchObject([{ name: 'POST /v1/chat', events: ['first_token'] }])

    const second = await resume(traced.url, first.id, 1, { headers: { traceparent: TRACEPARENT } })
    answer!.end(chatChunks(chunk({ content: 'after' }), chunk({}, { finish_reason: 'stop' }), '[DONE]'))
    await second.end()
    expect(second.text).toBe('after')
    const spans = await traced.stop()
    const [request, reread] = server(spans) as [CollectedSpan, CollectedSpan]
    expect(client(spans)).toMatchObject([{ traceId: request.traceId, parentId: request.id, status: 'unset' }])
    expect(reread).toMatchObject({ name: 'GET /v1/streams/:id', traceId: TRACE, parentId: CALLER, events: [] })
    expect(reread.attributes).toMatchObject({
      'sluice.stream.digest': streamDigest(first.id),
      'url.path': `/v1/streams/${streamDigest(first.id)}`,
    })
    expect(JSON.stringify(spans)).not.toContain(first.id)
  })

  it('a stream that was stopped is no error', async () => {
    const traced = await startTraced()
    const reader = await chat(traced.url, { mock: { text: 'one two', interval_ms: 0, stall_at: 1 } })
    await reader.until(({ text }) => text === 'one')
    await (await open(`${traced.url}/v1/streams/${reader.id}`, { method: 'DELETE' })).end()
    await reader.end()
    const spans = await traced.stop()
    expect(client(spans)).toMatchObject([
      { name: 'chat mock', status: 'unset', attributes: { 'gen_ai.response.finish_reasons': ['cancelled'] } },
    ])
    expect(server(spans).map(({ name }) => name)).toEqual(['DELETE /v1/streams/:id', 'POST /v1/chat'])
  })

  it('a request over HTTP/2 is a span as any other, which ends with its stream and not with the connection', async () => {
    const traced = await startTraced({ TLS_CERT: TLS.tlsCert, TLS_KEY: TLS.tlsKey, OTEL_BSP_SCHEDULE_DELAY: '10' })
    const connection = await Http2Connection.open(traced.url)
    const mock = { text: 'one', interval_ms: 0 }
    await (await connection.chat({ mock }, { headers: { traceparent: TRACEPARENT } })).end()
    await traced.spans.until((spans) => server(spans).length === 1)
    expect(connection.session.closed).toBe(false)
    expect(server(await traced.stop())).toMatchObject([
      {
        name: 'POST /v1/chat',
        traceId: TRACE,
        parentId: CALLER,
        attributes: { 'url.scheme': 'https', 'http.response.status_code': 200 },
      },
    ])
  })

  it('what only machines ask for, again and again, is no span', async () => {
    const traced = await startTraced()
    for (const path of ['/healthz', '/readyz', '/metrics', '/v1/models'])
      expect((await (await open(traced.url + path)).end()).status).toBe(200)
    expect((await traced.stop()).map(({ name }) => name)).toEqual(['GET /v1/models'])
  })

  it('what nobody wants to see costs the upstream no header the less', async () => {
    const upstream = await startUpstream(speaks)
    const traced = await startTraced({ OPENAI_BASE_URL: upstream.url, OTEL_TRACES_SAMPLER: 'always_off' })
    await (await chat(traced.url, { model: 'openai/gpt-x' }, { headers: { traceparent: TRACEPARENT } })).end()
    expect(await traced.stop()).toEqual([])
    expect(upstream.requests[0]!.headers.traceparent).toMatch(new RegExp(`^00-${TRACE}-[\\da-f]{16}-00$`))
  })
})

describe('without an SDK', () => {
  async function forward(headers: Record<string, string>) {
    const upstream = await startUpstream(speaks)
    const gateway = await startGateway({
      providers: { openai: { type: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true } },
    })
    await (await chat(gateway.url, { model: 'openai/gpt-x' }, { headers })).end()
    const { traceparent, tracestate, baggage } = upstream.requests[0]!.headers
    return { traceparent, tracestate, baggage }
  }

  it('the trace of a client goes on to the upstream as it came', async () => {
    const sent = { traceparent: TRACEPARENT, tracestate: 'a=1,b=2' }
    expect(await forward({ ...sent, baggage: 'user=42' })).toEqual(sent)
  })

  it.each([
    { traceparent: 'made up' },
    { traceparent: `${TRACEPARENT}-more` },
    { tracestate: 'a=1' },
    { baggage: 'user=42' },
  ])('what is no trace stays here: %j', async (headers) => {
    expect(await forward(headers)).toEqual({})
  })
})
