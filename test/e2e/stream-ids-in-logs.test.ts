import { expect, it } from 'vitest'
import { streamDigest } from '../../src/telemetry/redact.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, open } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

it('logs name a stream by its digest, never by its id', async () => {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({}, { providers: [provider], logLevel: 'trace' })
  const reader = await chat(gateway.url, { model: 'scripted' })
  const run = await provider.nextRun()
  run.text('one')
  run.fail(new Error('no'))
  await reader.end()
  const { id } = reader
  const escaped = id.replace('s', '%73').replace('_', '%5F')
  const paths = [id, escaped, `${id}?protocol=native&id=${id}`, `${id}/more`, `${id}?last_event_id=9`]
  for (const path of paths) await (await open(`${gateway.url}/v1/streams/${path}`)).end()
  await (await open(`${gateway.url}/v1/streams/${id}`, { method: 'DELETE' })).end()

  const requests = gateway.logs.filter(({ msg }) => msg === 'request')
  const stream = streamDigest(id)
  const path = `/v1/streams/${stream}`
  expect(requests).toMatchObject([
    { path: '/v1/chat', stream },
    { path, stream },
    { path, stream },
    { path, stream },
    { path: `${path}/more` },
    { path, stream, status: 400 },
    { path, stream, status: 204 },
  ])
  expect(gateway.logs.filter(({ msg }) => msg === 'generation ended')).toMatchObject([{ stream }])
  expect(gateway.logs.filter(({ msg }) => msg === 'provider failed')).toMatchObject([{ stream }])
  expect(JSON.stringify(gateway.logs)).not.toContain(id)
})
