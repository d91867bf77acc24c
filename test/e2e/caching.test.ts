import { expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chat, open, resume } from '../support/reader.ts'

const quick = { mock: { text: 'a b', interval_ms: 0 } }

async function setUp() {
  const gateway = await startGateway()
  const stream = await (await chat(gateway.url, quick)).end()
  const path = `${gateway.url}/v1/streams/${stream.id}`
  return { ...gateway, stream, path }
}

const ANTHROPIC = { 'anthropic-version': '2023-06-01' }

it('lets no cache keep an answer that depends on a cursor, a caller or the moment', async () => {
  const { url, path, stream } = await setUp()
  const end = stream.ids.at(-1)
  const answers = {
    204: await resume(url, stream.id, end),
    404: await resume(url, 'str_unknown'),
    400: await resume(url, stream.id, 99),
    406: await open(path, { headers: { accept: 'image/png' } }),
    snapshot: await open(path, { headers: { accept: 'application/json' } }),
    cancelled: await open(path, { method: 'DELETE' }),
    whole: await chat(url, quick, { headers: { accept: 'application/json' } }),
    created: await chat(url, quick, { headers: { prefer: 'respond-async' } }),
    refused: await open(`${url}/v1/chat`, { method: 'POST', body: '{' }),
    models: await open(`${url}/v1/models`),
    model: await open(`${url}/v1/models/none`, { headers: ANTHROPIC }),
    status: await open(`${url}/v1/status`),
    healthz: await open(`${url}/healthz`),
    readyz: await open(`${url}/readyz`),
    metrics: await open(`${url}/metrics`),
    nowhere: await open(`${url}/nowhere`),
    'wrong method': await open(`${url}/v1/chat`, { method: 'PUT' }),
  }
  const headers = Object.entries(answers).map(([name, answer]) => [name, answer.headers['cache-control']])
  expect(headers).toEqual(Object.keys(answers).map((name) => [name, 'no-store']))
})

it('lets caches keep the files of the playground as long as they ask whether these are still the same', async () => {
  const { url } = await startGateway()
  expect((await open(`${url}/`)).headers['cache-control']).toBe('no-cache')
})

it('tells caches and proxies to pass an event stream on as it is', async () => {
  const { path, stream } = await setUp()
  for (const method of ['GET', 'HEAD'])
    expect((await open(path, { method })).headers).toMatchObject({
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
  expect(stream.headers['cache-control']).toBe('no-cache, no-transform')
})

it('names the header by which an answer has several formats', async () => {
  const { url, path } = await setUp()
  const varyOf = async (address: string, headers = {}) => (await open(address, { headers })).headers.vary
  expect(await varyOf(path)).toBe('Accept')
  expect(await varyOf(path, { accept: 'application/json' })).toBe('Accept')
  expect(await varyOf(path, { accept: 'image/png' })).toBe('Accept')
  expect(await varyOf(`${url}/v1/streams/str_unknown`)).toBe('Accept')
  expect(await varyOf(`${url}/v1/status`)).toBe('Accept')
  expect(await varyOf(`${url}/metrics`)).toBe('Accept')
  expect(await varyOf(`${url}/v1/models`)).toBe('anthropic-version')
  expect(await varyOf(`${url}/v1/models/mock`, ANTHROPIC)).toBe('anthropic-version')
})
