import { expect, it, onTestFinished } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { createGateway } from '../../src/gateway.ts'
import { native } from '../../src/protocols/native/native.ts'
import { ProtocolTable, type Encoder, type Protocol } from '../../src/protocols/protocol.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { open } from '../support/reader.ts'

/** One word a line; the body is the prompt. */
const toyEncoder: Encoder = {
  encode({ events, last }) {
    const words = events.flatMap(({ event }) => (event.type === 'delta' ? (event.content ?? '') : '.'))
    return { text: `data: ${words.join('')}\nid: ${last}\n\n`, frames: 1, next: toyEncoder }
  },
}

function byId({ id = '' }: Readonly<Record<string, string | undefined>>) {
  return { id }
}

const toy: Protocol = {
  name: 'toy',
  createPath: '/toy/say',
  paths: ['/toy'],
  headers: () => ({ 'x-toy': 'yes' }),
  parse: (body) => ({
    mode: 'stream',
    alias: `about-${JSON.stringify(body)}`,
    ignored: ['tone'],
    input: { messages: [{ role: 'user', content: JSON.stringify(body) }], mock: { text: 'a b', interval_ms: 0 } },
  }),
  readCursor: (request) =>
    request.get('toy-cursor') ? { path: 'toy-cursor', value: request.get('toy-cursor') } : undefined,
  heartbeat: ': toy\n',
  reconnects: true,
  encoder: () => toyEncoder,
  renderWhole: async (log) => ({ events: log.last }),
  streamHeaders: ({ model }) => ({ 'x-toy-model': model }),
  streamRoutes: [
    {
      method: 'get',
      path: '/toy/about/:topic',
      action: 'read',
      nameOf: ({ topic = '' }) => ({ alias: `about-${topic}` }),
      wantsEvents: ({ query }) => query.events !== 'no',
      readCursor: ({ query }, log) => ({ path: 'last', value: String(log.last - Number(query.last ?? log.last)) }),
      render: async (log) => ({ events: log.last }),
      missing: 204,
    },
    { method: 'post', path: '/toy/by-id/:id/stop', action: 'cancel', nameOf: byId },
    { method: 'delete', path: '/toy/by-id/:id', action: 'forget', nameOf: byId, render: async () => ({ gone: true }) },
  ],
  models: { renderList: (models) => ({ toys: models.map(({ id }) => id) }), renderModel: ({ id }) => ({ toy: id }) },
  renderError: ({ code }) => ({ type: 'text/toy', body: { oops: code } }),
}

it('a protocol is a folder and a row: paths, streams, cursors, models, errors and metrics follow from it', async () => {
  const config = { ...loadConfig(), port: 0, drainMs: 0 }
  const logger = createLogger('silent')
  const gateway = await createGateway(config, { logger, protocols: new ProtocolTable([native, toy]) })
  onTestFinished(() => gateway.drain())
  const url = await gateway.start()
  const post = (headers: Record<string, string> = {}) =>
    open(`${url}/toy/say`, { method: 'POST', body: {}, headers: { 'idempotency-key': 'k', ...headers } })

  const first = await (await post()).end()
  expect(first.messages.map(({ data }) => data).join('')).toBe('a b.')
  expect(first.headers).toMatchObject({ 'x-toy': 'yes', 'content-location': expect.stringMatching(/\?protocol=toy$/) })

  const rest = await (await post({ 'toy-cursor': '1' })).end()
  expect(rest.messages.map(({ data }) => data).join('')).toBe(' b.')
  expect((await post({ 'toy-cursor': '3' })).status).toBe(204)
  const again = await (await open(`${url}${String(first.headers['content-location'])}`)).end()
  expect(again.body).toContain('data: a b.')

  expect((await (await open(`${url}/v1/models`)).end()).json).toEqual({ toys: ['mock'] })
  const missing = await (await open(`${url}/toy/nothing`)).end()
  expect([missing.status, missing.json]).toEqual([404, { oops: 'not_found' }])
  expect(await gateway.services.metrics.text()).toContain(
    'sluice_streams_total{provider="mock",protocol="toy",finish_reason="stop"} 1',
  )
})

it('a row has routes of its own about a stream, which it finds by its id or by a name', async () => {
  const config = { ...loadConfig(), port: 0, drainMs: 0 }
  const logger = createLogger('silent')
  const gateway = await createGateway(config, { logger, protocols: new ProtocolTable([native, toy]) })
  onTestFinished(() => gateway.drain())
  const url = await gateway.start()
  const request = async (path: string, method = 'GET') => (await open(`${url}${path}`, { method })).end()

  expect((await request('/toy/about/{}')).status).toBe(204)
  const first = await (await open(`${url}/toy/say`, { method: 'POST', body: {} })).end()
  expect(first.headers).toMatchObject({ 'x-toy-model': 'mock', 'sluice-ignored': 'tone' })
  const id = String(first.headers['sluice-stream-id'])

  const all = await request('/toy/about/{}')
  expect([all.status, all.headers['x-toy-model']]).toEqual([200, 'mock'])
  expect(all.messages).toEqual(first.messages)
  expect((await request('/toy/about/{}?last=1')).messages).toHaveLength(1)
  expect((await request('/toy/about/{}?events=no')).json).toEqual({ events: 3 })

  expect((await request(`/toy/by-id/${id}/stop`, 'POST')).status).toBe(204)
  expect((await request(`/toy/by-id/${id}`, 'DELETE')).json).toEqual({ gone: true })
  expect((await request('/toy/about/{}')).status).toBe(204)
  expect((await request(`/v1/streams/${id}`)).status).toBe(410)
})
