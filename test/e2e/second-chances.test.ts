import { describe, expect, it } from 'vitest'
import { stream, WHOLE } from '../support/faults.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, open } from '../support/reader.ts'
import { startUpstream } from '../support/upstream.ts'

const messages = [{ role: 'user', content: 'hi' }]
const upstreamAt = (baseUrl: string) => ({ type: 'openai' as const, baseUrl, headers: {}, includeUsage: true })

describe('an Idempotency-Key', () => {
  const headers = { 'idempotency-key': 'k-1' }

  it('does not bring back a failure that may be retried', async () => {
    let down = true
    const upstream = await startUpstream((response, request) =>
      down ? void response.writeHead(503).end() : stream(WHOLE)(response, request),
    )
    const gateway = await startGateway({
      providers: { up: upstreamAt(upstream.url) },
      models: { m: { target: 'up/m', retries: 0 } },
    })
    const first = await (await chat(gateway.url, { model: 'm' }, { headers })).end()
    expect(first.dones).toMatchObject([{ error: { retryable: true } }])
    down = false
    const second = await (await chat(gateway.url, { model: 'm' }, { headers })).end()
    expect([second.text, second.dones.length]).toEqual(['one two ', 1])
    const third = await (await chat(gateway.url, { model: 'm' }, { headers })).end()
    expect(third.id).toBe(second.id)
  })

  it('does not bring back an answer that was left', async () => {
    const gateway = await startGateway({ resumeWindowMs: 0 })
    const left = await chat(gateway.url, { mock: { stall_at: 1 } }, { headers })
    left.cut()
    await gateway.services.generations.idle()
    const again = await chat(gateway.url, { mock: { stall_at: 1 } }, { headers })
    await again.until(({ ids }) => ids.length === 1)
    expect(again.id).not.toBe(left.id)
  })
})

it('failures that one caller asks the mock for are no reason to refuse the others', async () => {
  const gateway = await startGateway({ models: { mock: { target: 'mock/mock', retries: 0 } } })
  for (let i = 0; i < 8; i++)
    expect((await (await chat(gateway.url, { mock: { fail_at: 0 } })).end()).dones).toMatchObject([
      { error: { code: 'upstream_error' } },
    ])
  const next = await (await chat(gateway.url, { mock: { tokens: 2, interval_ms: 0 } })).end()
  expect(next.dones).toMatchObject([{ finish_reason: 'stop' }])
})

it('a refusal whose words never end is one all the same, and the next target answers', async () => {
  const hanging = await startUpstream((response) => {
    response.writeHead(429, { 'content-type': 'application/json' }).write('{"error":')
  })
  const good = await startUpstream(stream(WHOLE))
  const gateway = await startGateway({
    providers: { bad: upstreamAt(hanging.url), good: upstreamAt(good.url) },
    models: { m: [{ target: 'bad/m', retries: 0 }, 'good/m'] },
  })
  expect((await (await chat(gateway.url, { model: 'm' })).end()).text).toBe('one two ')
  expect(await gateway.metric('sluice_upstream_errors_total{provider="bad",code="upstream_rate_limited"}')).toBe(1)
})

it('a request that cannot be written again is refused by its own fault', async () => {
  const upstream = await startUpstream(stream(WHOLE))
  const gateway = await startGateway({ providers: { up: upstreamAt(upstream.url) } })
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
  const body = `{"model":"up/m","messages":${JSON.stringify(messages)},"deep":${deep}}`
  const reader = await (await open(`${gateway.url}/v1/chat/completions`, { method: 'POST', body })).end()
  expect([reader.status, reader.json]).toMatchObject([400, { error: { code: 'invalid_request' } }])
})

it.each(['/v1/chat', '/v1/chat/completions', '/v1/messages'])(
  'a model name that no header could hold is refused at %s',
  async (path) => {
    const gateway = await startGateway()
    const body = { model: 'm'.repeat(100_000), max_tokens: 5, messages }
    const reader = await (await open(`${gateway.url}${path}`, { method: 'POST', body })).end()
    expect(reader.status).toBe(400)
    expect(reader.body).toContain('model')
  },
)
