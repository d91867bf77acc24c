import { describe, expect, it } from 'vitest'
import { Tickets } from '../../src/access/tickets.ts'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { bearer, createTicket, startInBackground, withKeys } from '../support/keys.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { clientOf, forbidUnhandledRejections, HI, Wire } from './harness.ts'

forbidUnhandledRejections()

const BODY = { ...HI, model: 'scripted' }

/** A gateway that needs a key, with a stream that runs. */
async function startWithKeys(settings: Parameters<typeof startGateway>[0] = {}) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({ ...withKeys(), ...settings }, { providers: [provider] })
  const network = await FaultyNetwork.start(gateway.url)
  const requests = () =>
    network.requests.entries.map(({ method, path, headers }) => [
      method,
      path.replace(/str_\w+/, 'ID'),
      headers.authorization,
      headers['last-event-id'],
    ])
  return { provider, gateway, network, requests }
}

describe('a client with a key', () => {
  it('sends it when it starts, resumes, attaches and cancels', async () => {
    const { provider, network, requests } = await startWithKeys()
    const client = clientOf(network, { headers: bearer() })
    network.plan({ cut: { frames: 1 } })
    const wire = new Wire()
    const stream = client.chat(BODY, { onActivity: wire.onActivity })
    const run = await provider.nextRun()
    run.text('one ')
    await wire.untilCount('reconnect', 1)
    const other = client.attach(await stream.id)
    run.text('two')
    await wire.until(() => wire.of('frame').length === 2)
    await stream.cancel()
    expect(await Promise.all([stream.text(), other.text()])).toEqual(['one two', 'one two'])
    const { authorization } = bearer()
    expect(new Set(requests())).toEqual(
      new Set([
        ['POST', '/v1/chat', authorization, undefined],
        ['GET', '/v1/streams/ID', authorization, '1'],
        ['GET', '/v1/streams/ID', authorization, undefined],
        ['DELETE', '/v1/streams/ID', authorization, undefined],
      ]),
    )
  })

  it('asks for a new token before each request', async () => {
    const { provider, network, requests } = await startWithKeys(withKeys({ name: 'other', key: 'second' }))
    network.plan({ cut: { bytes: 0 } })
    const tokens = [bearer(), { ...bearer(), 'x-api-key': 'second' }]
    const client = clientOf(network, { headers: async () => tokens.shift() ?? bearer() })
    const stream = client.chat(BODY)
    const run = await provider.nextRun()
    run.text('one')
    run.done()
    expect(await stream.text()).toBe('one')
    expect(requests()).toHaveLength(2)
    expect(tokens).toEqual([])
  })

  it('reads and stops the streams of the end user that it names, and of no other', async () => {
    const { provider, gateway } = await startWithKeys()
    const clientFor = (user: string) => clientOf(gateway, { headers: { ...bearer(), 'sluice-user': user } })
    const stream = clientFor('ann').chat(BODY)
    const run = await provider.nextRun()
    const id = await stream.id
    await expect(clientFor('bob').attach(id).text()).rejects.toMatchObject({ code: 'stream_not_found' })
    const again = clientFor('ann').attach(id)
    await again.cancel()
    await run.aborted
    expect(await stream.final()).toMatchObject({ finish_reason: 'cancelled' })
  })
})

describe('a client without a key', () => {
  it('reads the `url` of a 202 with its ticket, also after a cut', async () => {
    const { provider, gateway, network, requests } = await startWithKeys()
    const { url } = await startInBackground(gateway.url)
    network.plan({ cut: { frames: 1 } }, { cut: { bytes: 0 } })
    const stream = clientOf(network).attach(url)
    const run = await provider.nextRun()
    run.text('one ')
    await network.requests.until((all) => all.length === 3)
    run.text('two')
    run.done()
    expect(await stream.text()).toBe('one two')
    const path = url.replace(/str_\w+/, 'ID')
    expect(path).toMatch(/\?ticket=./)
    expect(requests()).toEqual([
      ['GET', path, undefined, undefined],
      ['GET', path, undefined, '1'],
      ['GET', path, undefined, '1'],
    ])
    // What the app keeps for a reload: the ticket comes with it.
    expect(await stream.id).toBe(url)
    expect(
      await clientOf(network)
        .attach(await stream.id)
        .text(),
    ).toBe('one two')
  })

  it('reads an absolute URL through the gateway of its own', async () => {
    const { provider, gateway, network, requests } = await startWithKeys({ publicUrl: 'https://chat.example/llm' })
    const { url } = await startInBackground(gateway.url)
    expect(url).toMatch(/^https:\/\/chat\.example\/llm\/v1\/streams\/str_/)
    const stream = clientOf(network).attach(url)
    const run = await provider.nextRun()
    run.text('one')
    run.done()
    expect(await stream.text()).toBe('one')
    expect(requests().map(([, path]) => path)).toEqual([expect.stringMatching(/^\/v1\/streams\/ID\?ticket=/)])
  })

  it('stops a stream with a ticket for that, and keeps the ticket', async () => {
    const { provider, gateway, network, requests } = await startWithKeys()
    const { id } = await startInBackground(gateway.url)
    const { url } = await createTicket(gateway.url, id, { scope: 'cancel' })
    const run = await provider.nextRun()
    const stream = clientOf(network).attach(url)
    await stream.cancel()
    await run.aborted
    expect(await stream.final()).toMatchObject({ finish_reason: 'cancelled' })
    expect(requests()).toContainEqual(['DELETE', url.replace(id, 'ID'), undefined, undefined])
  })

  it('is told that a ticket for reading stops nothing, and reads on', async () => {
    const { provider, gateway, network } = await startWithKeys()
    const { url } = await startInBackground(gateway.url)
    const stream = clientOf(network).attach(url)
    const run = await provider.nextRun()
    await expect(stream.cancel()).rejects.toMatchObject({ code: 'insufficient_scope', status: 403 })
    expect(network.requests.entries.filter(({ method }) => method === 'DELETE')).toHaveLength(1)
    run.text('one')
    run.done()
    expect(await stream.text()).toBe('one')
  })

  it('fails with `invalid_ticket` when it reconnects with a ticket that has expired', async () => {
    const { provider, gateway, network } = await startWithKeys()
    const { id, url } = await startInBackground(gateway.url)
    let now = Date.now()
    const tickets = new Tickets([], () => now)
    Object.assign(gateway.services, { tickets })
    const { ticket } = tickets.issue(id, 'read', 60_000)
    network.plan({ cut: { frames: 1 } })
    const backoff = () => {
      now += 61_000
      return 0
    }
    const stream = clientOf(network, { backoff }).attach(url.replace(/ticket=.*/, `ticket=${ticket}`))
    const run = await provider.nextRun()
    run.text('one ')
    await expect(stream.text()).rejects.toMatchObject({ code: 'invalid_ticket', status: 401, retryable: false })
    expect(network.requests.entries).toHaveLength(2)
  })
})

describe('a refusal is told after one request:', () => {
  it.each([
    ['no key', {}, { code: 'invalid_api_key', status: 401 }],
    ['a wrong key', bearer('wrong'), { code: 'invalid_api_key', status: 401 }],
    ['a key that may only read', bearer('reader'), { code: 'insufficient_scope', status: 403 }],
  ])('%s', async (_, headers, failure) => {
    const { provider, network } = await startWithKeys(withKeys({ name: 'reader', key: 'reader', scopes: ['read'] }))
    const stream = clientOf(network, { headers }).chat(BODY)
    await expect(stream.text()).rejects.toMatchObject({ ...failure, retryable: false })
    await expect(stream.id).rejects.toMatchObject(failure)
    expect(network.requests.entries).toHaveLength(1)
    expect(provider.runs).toEqual([])
  })

  it('a quota that is used up', async () => {
    const { network } = await startWithKeys()
    const body = JSON.stringify({ code: 'insufficient_quota', detail: 'Used up.', retryable: false })
    network.plan({ answer: { status: 429, body, headers: { 'retry-after': '1' } } })
    const stream = clientOf(network, { headers: bearer() }).chat(BODY)
    await expect(stream.text()).rejects.toMatchObject({ code: 'insufficient_quota', status: 429, retryable: false })
    expect(network.requests.entries).toHaveLength(1)
  })
})

it('a rate limit is waited for, as `Retry-After` says, and the request repeated', async () => {
  const { provider, network } = await startWithKeys()
  const body = JSON.stringify({ code: 'rate_limit_exceeded', detail: 'Slow down.', retryable: true })
  network.plan({ answer: { status: 429, body, headers: { 'retry-after': '1' } } })
  const wire = new Wire()
  const stream = clientOf(network, { headers: bearer() }).chat(BODY, wire)
  const run = await provider.nextRun()
  run.text('one')
  run.done()
  expect(await stream.text()).toBe('one')
  expect(wire.of('reconnect')).toMatchObject([{ delayMs: 1000 }])
})
