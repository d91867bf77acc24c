import { describe, expect, it } from 'vitest'
import { WHOLE, stream } from '../support/faults.ts'
import { startGateway } from '../support/gateway.ts'
import { open } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { startUpstream } from '../support/upstream.ts'

const messages = [{ role: 'user', content: 'hi' }]

it.each([
  ['llama3.2:1b', 'up/llama3.2:1b'],
  ['org/模型', 'up/org/%E6%A8%A1%E5%9E%8B'],
  ['a\r\nSet-Cookie: b=c', 'up/a%0D%0ASet-Cookie:%20b=c'],
  ['\ud800', 'up/%EF%BF%BD'],
])('a model named %j is named in a header that is one', async (model, target) => {
  const upstream = await startUpstream(stream(WHOLE))
  const gateway = await startGateway({
    providers: { up: { type: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true } },
  })
  for (const path of ['/v1/chat/completions', '/v1/messages']) {
    const body = { model: `up/${model}`, messages, max_tokens: 5, stream: true }
    const reader = await (await open(`${gateway.url}${path}`, { method: 'POST', body })).end()
    expect(reader.status).toBe(200)
    expect(reader.headers['sluice-target']).toBe(target)
    expect(reader.headers['set-cookie']).toBeUndefined()
  }
})

describe('the heartbeat', () => {
  it('is stated on event streams of the native protocol, to new readers and to those that come back', async () => {
    const { url } = await startGateway({ heartbeatMs: 54_321 })
    const body = { messages, mock: { tokens: 2, interval_ms: 0 } }
    const created = await (await open(`${url}/v1/chat`, { method: 'POST', body })).end()
    const resumed = await (await open(`${url}/v1/streams/${created.id}`)).end()
    const head = await fetch(`${url}/v1/streams/${created.id}`, { method: 'HEAD' })
    expect(created.headers['sluice-heartbeat']).toBe('54321')
    expect(resumed.headers['sluice-heartbeat']).toBe('54321')
    expect(head.headers.get('sluice-heartbeat')).toBe('54321')
  })

  it('is not stated where no client reconnects by itself', async () => {
    const { url } = await startGateway()
    const body = { model: 'mock', stream: true, messages, mock: { tokens: 2, interval_ms: 0 } }
    const { headers } = await (await open(`${url}/v1/chat/completions`, { method: 'POST', body })).end()
    expect(headers).not.toHaveProperty('sluice-heartbeat')
  })
})

describe('the status of an SDK’s stream', () => {
  const body = { model: 'scripted', stream: true, messages }

  it('is sent after sdkStatusWaitMs without a token, however long the heartbeat is', async () => {
    const provider = new ScriptedProvider()
    const { url } = await startGateway({ sdkStatusWaitMs: 10, heartbeatMs: 600_000 }, { providers: [provider] })
    const reader = await open(`${url}/v1/chat/completions`, { method: 'POST', body })
    expect(reader.status).toBe(200)
    const run = await provider.nextRun()
    run.done()
    await reader.end()
  })

  it('is still that of a failure after several heartbeats', async () => {
    const provider = new ScriptedProvider()
    const { url } = await startGateway({ sdkStatusWaitMs: 600_000, heartbeatMs: 10 }, { providers: [provider] })
    const answer = open(`${url}/v1/chat/completions`, { method: 'POST', body })
    const run = await provider.nextRun()
    const witness = await open(`${url}/v1/chat`, { method: 'POST', body: { model: 'scripted', messages } })
    const other = await provider.nextRun()
    await witness.until(({ comments }) => comments.length === 3)
    run.fail(new Error('broken'))
    expect((await answer).status).toBe(502)
    other.done()
    await witness.end()
  })
})

it('parameters that the target leaves out are named in a header', async () => {
  const upstream = await startUpstream(stream(WHOLE))
  const gateway = await startGateway({
    corsOrigin: ['*'],
    providers: { up: { type: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true } },
  })
  const ask = async (path: string, more: object) => {
    const body = { model: 'up/m', messages, max_tokens: 5, stream: true, ...more }
    return (
      await open(`${gateway.url}${path}`, { method: 'POST', body, headers: { origin: 'https://a.example' } })
    ).end()
  }
  const reader = await ask('/v1/messages', { thinking: { type: 'adaptive' }, speed: 'fast' })
  expect(reader.headers['sluice-ignored']).toBe('speed, thinking')
  expect(reader.headers['access-control-expose-headers']).toContain('Sluice-Ignored')
  for (const path of ['/v1/chat/completions', '/v1/messages', '/v1/chat'])
    expect((await ask(path, {})).headers).not.toHaveProperty('sluice-ignored')
})
