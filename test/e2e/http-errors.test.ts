import request, { type Response } from 'supertest'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startGateway, itAlone } from '../support/gateway.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

const messages = [{ role: 'user', content: 'hi' }]
const quick = { messages, mock: { text: 'a b c', interval_ms: 0 } }
const SSE = { accept: 'text/event-stream' }

/** That an answer is RFC 9457, with this code, and names these fields. */
function expectProblem(
  { status, headers, body }: Response,
  expected: { status: number; code: string; paths?: string[] },
) {
  expect(headers['content-type']).toBe('application/problem+json')
  expect({ status, code: body.code, paths: body.errors?.map(({ path }: { path: string }) => path) }).toStrictEqual({
    paths: undefined,
    ...expected,
  })
  expect(body.status).toBe(status)
  expect(body.title).toEqual(expect.any(String))
  expect(body.detail).toEqual(expect.any(String))
}

/** A stream that has ended, with its events `a`, ` b`, ` c` and `done`. */
async function createFinished(url: string): Promise<string> {
  const { id, ids } = await (await chat(url, quick)).end()
  expect(ids.at(-1)).toBe(4)
  return id
}

describe('a request that is wrong', () => {
  it.each<[string, unknown, string, string[]]>([
    ['JSON that is cut', '{"messages": [', 'invalid_json', []],
    ['JSON that is no object', '[]', 'invalid_request', ['(body)']],
    ['no messages', {}, 'invalid_request', ['messages']],
    ['an empty list of messages', { messages: [] }, 'invalid_request', ['messages']],
    [
      'several fields of wrong types',
      {
        messages: [
          { role: 'nobody', content: 'hi' },
          { role: 'user', content: 1 },
        ],
        temperature: 'hot',
        max_tokens: 0,
      },
      'invalid_request',
      ['messages[0].role', 'messages[1].content', 'temperature', 'max_tokens'],
    ],
    ['a user who says nothing', { messages: [{ role: 'user' }] }, 'invalid_request', ['messages[0].content']],
    ['a knob that the mock does not have', { messages, mock: { speed: 1 } }, 'invalid_request', ['mock.speed']],
    [
      'knobs that are wrong',
      { messages, mock: { tokens: -1, text: 1 } },
      'invalid_request',
      ['mock.tokens', 'mock.text'],
    ],
  ])('answers 400 to %s, and names what is wrong', async (_, body, code, paths) => {
    const { url } = await startGateway()
    const sent = request(url).post('/v1/chat').type('json')
    const response = await sent.send(typeof body === 'string' ? body : JSON.stringify(body))
    expectProblem(response, { status: 400, code, ...(paths.length > 0 ? { paths } : {}) })
  })

  it('answers 404 to a model that nobody offers, and names the field', async () => {
    const { url } = await startGateway()
    const response = await request(url).post('/v1/chat').send({ messages, model: 'no-such-model' })
    expectProblem(response, { status: 404, code: 'unknown_model', paths: ['model'] })
    expect(response.body.detail).toContain('no-such-model')
  })

  it('answers 400 to no body, and 415 to one that is not JSON', async () => {
    const { url } = await startGateway()
    expectProblem(await request(url).post('/v1/chat'), { status: 400, code: 'invalid_json' })
    expectProblem(await request(url).post('/v1/chat').type('json'), { status: 400, code: 'invalid_json' })
    expectProblem(await request(url).post('/v1/chat').type('text/plain').send('hi'), {
      status: 415,
      code: 'unsupported_media_type',
      paths: ['Content-Type'],
    })
    expectProblem(await request(url).post('/v1/chat').type('json').set('Content-Encoding', 'zip').send('{}'), {
      status: 415,
      code: 'unsupported_media_type',
      paths: ['Content-Encoding'],
    })
  })

  it.each([{ 'content-type': 'application/json' }, { 'transfer-encoding': 'chunked' }])(
    'answers 413 to a body beyond BODY_LIMIT, with %o',
    async (headers) => {
      const { url } = await startGateway({ bodyLimit: 1000 })
      const sized = (length: number) => ({ messages: [{ role: 'user', content: 'x'.repeat(length) }] })
      const large = await (await chat(url, sized(2000), { headers })).end()
      expect(large.status).toBe(413)
      expect(large.headers['content-type']).toBe('application/problem+json')
      expect(large.json).toMatchObject({ code: 'body_too_large', status: 413 })
      expect((await chat(url, sized(500), { headers })).status).toBe(200)
    },
  )

  it('answers 406 to a caller who takes neither events nor JSON', async () => {
    const { url } = await startGateway()
    const expected = { status: 406, code: 'not_acceptable', paths: ['Accept'] }
    expectProblem(await request(url).post('/v1/chat').set('Accept', 'text/html').send(quick), expected)
    const id = await createFinished(url)
    expectProblem(await request(url).get(`/v1/streams/${id}`).set('Accept', 'image/png'), expected)
  })

  it.each([
    ['put', '/v1/chat', 'POST'],
    ['get', '/v1/chat', 'POST'],
    ['post', '/v1/streams/x', 'HEAD, GET, DELETE'],
    ['delete', '/healthz', 'HEAD, GET'],
  ] as const)('answers 405 to %s %s, and says what is allowed', async (method, path, allow) => {
    const { url } = await startGateway()
    const response = await request(url)[method](path)
    expectProblem(response, { status: 405, code: 'method_not_allowed' })
    expect(response.headers.allow).toBe(allow)
  })

  it.each(['/nothing', '/v1', '/v1/streams', '/v1/streams/a/b', '/%E0%A4%A'])('answers 404 to %s', async (path) => {
    const { url } = await startGateway()
    expectProblem(await request(url).get(path), { status: 404, code: 'not_found' })
  })
})

describe('a stream that cannot be read', () => {
  it('answers 404 when it was never there', async () => {
    const { url } = await startGateway()
    const expected = { status: 404, code: 'stream_not_found' }
    expectProblem(await request(url).get('/v1/streams/str_unknown').set(SSE), expected)
    expectProblem(await request(url).get('/v1/streams/%E0%A4%A').set(SSE), expected)
    expectProblem(await request(url).delete('/v1/streams/str_unknown'), expected)
  })

  itAlone('answers 410 when it has expired, and 404 when that is forgotten', async () => {
    // The clock stands still, so that what has expired is not forgotten before it is asked for.
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const { url } = await startGateway({ retentionMs: 1 })
    const id = await createFinished(url)
    const read = () => request(url).get(`/v1/streams/${id}`).set(SSE)
    expect((await read()).status).toBe(200)
    vi.advanceTimersByTime(2)
    await expect.poll(async () => (await read()).status).not.toBe(200)
    expectProblem(await read(), { status: 410, code: 'stream_expired' })
    expectProblem(await request(url).delete(`/v1/streams/${id}`), { status: 410, code: 'stream_expired' })
    vi.advanceTimersByTime(3_600_000)
    expectProblem(await read(), { status: 404, code: 'stream_not_found' })
  })

  it.each(['abc', '-1', '1.5', '1e3', ' ', '5', '99999999999999999999'])(
    'answers 400 to the cursor %j, in the header and in the query',
    async (cursor) => {
      const { url } = await startGateway()
      const path = `/v1/streams/${await createFinished(url)}`
      const expected = { status: 400, code: 'invalid_cursor' }
      // A header of nothing but spaces is empty by the time it arrives, and an empty one is as good as none.
      if (cursor.trim() !== '')
        expectProblem(await request(url).get(path).set(SSE).set('Last-Event-ID', cursor), {
          ...expected,
          paths: ['Last-Event-ID'],
        })
      expectProblem(await request(url).get(path).set(SSE).query({ last_event_id: cursor }), {
        ...expected,
        paths: ['last_event_id'],
      })
    },
  )

  it('answers 204 when it has ended and the reader has it all', async () => {
    const { url } = await startGateway()
    const path = `/v1/streams/${await createFinished(url)}`
    for (const read of [
      request(url).get(path).set('Last-Event-ID', '4'),
      request(url).get(path).query({ last_event_id: 4 }),
      // The header wins: the URL of an `EventSource` stays as it was.
      request(url).get(path).query({ last_event_id: 1 }).set('Last-Event-ID', '4'),
    ]) {
      const { status, text } = await read.set(SSE)
      expect([status, text]).toStrictEqual([204, ''])
    }
  })
})

describe('Idempotency-Key', () => {
  const key = { 'idempotency-key': 'a-key' }

  it('joins the stream of the same key and request, and pays once', async () => {
    const provider = new ScriptedProvider()
    const { url } = await startGateway({}, { providers: [provider] })
    const first = await chat(url, { model: 'scripted' }, { headers: key })
    const second = await chat(url, { model: 'scripted' }, { headers: key })
    expect(second.id).toBe(first.id)
    const run = await provider.nextRun()
    run.text('once')
    run.done()
    for (const reader of [first, second]) expect((await reader.end()).text).toBe('once')
    const late = await (await chat(url, { model: 'scripted' }, { headers: key })).end()
    expect([late.id, late.text]).toStrictEqual([first.id, 'once'])
    expect(provider.runs).toHaveLength(1)
  })

  it('answers 422 to the same key with another request', async () => {
    const { url } = await startGateway()
    await request(url).post('/v1/chat').set(key).set('Prefer', 'respond-async').send(quick).expect(202)
    expectProblem(await request(url).post('/v1/chat').set(key).send({ messages }), {
      status: 422,
      code: 'idempotency_conflict',
      paths: ['Idempotency-Key'],
    })
  })

  it.each([
    ['too long', 'x'.repeat(256)],
    ['not ASCII', 'caf\u00e9'],
  ])('answers 400 to a key that is %s', async (_, malformed) => {
    const { url } = await startGateway()
    expectProblem(await request(url).post('/v1/chat').set('Idempotency-Key', malformed).send(quick), {
      status: 400,
      code: 'invalid_request',
      paths: ['Idempotency-Key'],
    })
  })
})

describe('answers that are not streams', () => {
  it('answers 202 with the address of the stream to Prefer: respond-async', async () => {
    const { url } = await startGateway()
    const created = await request(url).post('/v1/chat').set('Prefer', 'respond-async, wait=1').send(quick)
    expect(created.status).toBe(202)
    const address = `/v1/streams/${created.body.id}`
    expect(created.body).toStrictEqual({ id: expect.stringMatching(/^str_/), url: expect.any(String) })
    expect(created.body.url.replace(/\?ticket=[\w.-]+$/, '')).toBe(address)
    expect(created.headers).toMatchObject({
      location: address,
      'preference-applied': 'respond-async',
      'sluice-stream-id': created.body.id,
    })
    expect((await (await open(url + created.body.url)).end()).text).toBe('a b c')
  })

  it('answers with the finished stream to Accept: application/json', async () => {
    const { url } = await startGateway()
    const response = await request(url).post('/v1/chat').set('Accept', 'application/json').send(quick)
    expect(response.status).toBe(200)
    const { id } = response.body
    expect(response.headers).toMatchObject({ 'content-location': `/v1/streams/${id}`, 'sluice-stream-id': id })
    expect(response.body).toStrictEqual({
      id: expect.stringMatching(/^str_/),
      status: 'finished',
      created: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      model: 'mock',
      provider: 'mock',
      last_event_id: 4,
      message: { role: 'assistant', content: 'a b c' },
      finish_reason: 'stop',
      usage: { prompt_tokens: 1, completion_tokens: 3, total_tokens: 4 },
      error: null,
    })
  })

  it('answers with what there is of a running stream, and of a failed one with its error', async () => {
    const provider = new ScriptedProvider()
    const { url } = await startGateway({}, { providers: [provider] })
    const reader = await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    const snapshot = async () =>
      (await request(url).get(`/v1/streams/${reader.id}`).set('Accept', 'application/json')).body
    const running = { status: 'running', message: { content: null }, finish_reason: null, usage: null, error: null }
    expect(await snapshot()).toMatchObject({ ...running, last_event_id: 0 })
    run.text('so ', 'far')
    await reader.until(({ text }) => text === 'so far')
    expect(await snapshot()).toMatchObject({ ...running, message: { content: 'so far' }, last_event_id: 2 })
    run.fail(new Error('secret'))
    await reader.end()
    expect(await snapshot()).toMatchObject({
      status: 'failed',
      message: { content: 'so far' },
      finish_reason: 'error',
      error: { code: 'provider_failed', message: 'The provider failed.', retryable: false },
    })
  })

  it('cancels a stream for everybody with DELETE, as often as it is asked', async () => {
    const provider = new ScriptedProvider()
    const { url } = await startGateway({}, { providers: [provider] })
    const readers = [await chat(url, { model: 'scripted' })]
    const run = await provider.nextRun()
    readers.push(await resume(url, readers[0]!.id))
    for (let time = 0; time < 3; time++) await request(url).delete(`/v1/streams/${readers[0]!.id}`).expect(204, '')
    await run.aborted
    for (const reader of readers) expect((await reader.end()).dones).toMatchObject([{ finish_reason: 'cancelled' }])
  })

  it('says that it lives, that it is ready, and how it fares', async () => {
    const { url } = await startGateway()
    await request(url).get('/healthz').expect(200, { status: 'ok' })
    await request(url).get('/readyz').expect(200, { status: 'ready' })
    await createFinished(url)
    const metrics = await request(url).get('/metrics').expect(200)
    expect(metrics.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(metrics.text).toContain('sluice_streams_total{provider="mock",protocol="native",finish_reason="stop"} 1')
  })
})
