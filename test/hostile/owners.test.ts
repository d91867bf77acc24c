// Tickets that are wrong in every way, and streams of another owner: the same answer as for a stream that is not there.

import { once } from 'node:events'
import { connect } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keySchema } from '../../src/access/access-schema.ts'
import { Tickets } from '../../src/access/tickets.ts'
import { listRoutes, type Route } from '../../src/http/routes.ts'
import type { Directory } from '../../src/store/directory.ts'
import { MemoryDirectory } from '../../src/store/memory-directory.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { ask, type Answer, type AskOptions } from './target.ts'

const SECRET = 'a secret that signs tickets'
const keys = ['ann', 'bob'].map((name) => keySchema.parse({ name, key: `key-of-${name}` }))
const bearer = (name: string, user?: string) => ({
  authorization: `Bearer key-of-${name}`,
  ...(user !== undefined && { 'sluice-user': user }),
})
const HOUR = 3_600_000

const portOf = ({ url }: { url: string }) => ({ port: Number(new URL(url).port) })

/** A gateway, and the calls of its directory since they were last taken. */
async function startCounted(retentionMs = HOUR) {
  const calls: string[] = []
  const settings = { keys, ticketSecret: [SECRET], retentionMs, resumeWindowMs: HOUR }
  const gateway = await startGateway(settings, {
    directory: (config, budget) => counted(new MemoryDirectory(config, budget), calls),
  })
  return { gateway, takeCalls: () => calls.splice(0) }
}

function counted(directory: MemoryDirectory, calls: string[]): Directory {
  const call = <T>(name: string, answer: T): T => {
    calls.push(name)
    return answer
  }
  return {
    create: (info, names) => call('create', directory.create(info, names)),
    join: (owner, idempotency) => call('join', directory.join(owner, idempotency)),
    find: (id, owner) => call('find', directory.find(id, owner)),
    findByAlias: (alias, owner) => call('findByAlias', directory.findByAlias(alias, owner)),
    ended: (id, done) => directory.ended(id, done),
    dropped: (id, client) => directory.dropped(id, client),
    reclaim: () => directory.reclaim(),
    close: () => directory.close(),
  }
}

interface Created {
  id: string
  ticket: string
}

/** A stream of this caller: running for an hour, or ended. */
async function create(gateway: TestGateway, headers: Record<string, string>, running = false): Promise<Created> {
  const mock = { text: 'a b', interval_ms: 0, ...(running && { stall_at: 1 }) }
  const body = { messages: [{ role: 'user', content: 'hi' }], mock }
  const created = await ask(portOf(gateway), '/v1/chat', { body, headers: { ...headers, prefer: 'respond-async' } })
  const { id, url } = JSON.parse(created.body)
  if (!running) {
    await expect
      .poll(async () => await gateway.services.store.find(id, undefined))
      .toMatchObject({ log: { done: { finish_reason: 'stop' } } })
  }
  return { id, ticket: new URL(url, gateway.url).searchParams.get('ticket') ?? '' }
}

describe('a ticket', () => {
  const tickets = new Tickets([SECRET])
  const issue = (id: string, ttlMs = HOUR) => tickets.issue(id, 'read', ttlMs).ticket

  type Forge = (given: Created & { other: Created }) => string
  const FORGED: Record<string, Forge> = {
    'of another stream': ({ other }) => other.ticket,
    'with another scope': ({ ticket }) => `c${ticket.slice(1)}`,
    'with a scope that is none': ({ ticket }) => `x${ticket.slice(1)}`,
    'with a later expiry': ({ ticket }) => ticket.replace(/^r\w+/, 'rzzzzzzz'),
    'that is valid for ever': ({ ticket }) => ticket.replace(/^r\w+/, 'rzzzzzzzz'),
    'with no expiry': ({ ticket }) => ticket.replace(/^r\w+/, 'r'),
    'that has expired': ({ id }) => issue(id, -1000),
    'of another secret': ({ id }) => new Tickets(['another secret']).issue(id, 'read', HOUR).ticket,
    'signed with the secret as it is': ({ ticket }) =>
      `${ticket.slice(0, 8)}.${Buffer.alloc(32).toString('base64url')}`,
    'without its signature': ({ ticket }) => ticket.slice(0, ticket.indexOf('.') + 1),
    'without its claims': ({ ticket }) => ticket.slice(ticket.indexOf('.')),
    'and a line break': ({ ticket }) => `${ticket}%0A`,
    'and NUL': ({ ticket }) => `${ticket}%00`,
    'and a space': ({ ticket }) => `${ticket}%20`,
    'and unicode': ({ ticket }) => `${ticket}%E2%80%8B`,
    'in full-width letters': ({ ticket }) => encodeURIComponent(ticket.replace('r', 'ｒ')),
    'and the parameter again': ({ ticket }) => `${ticket}&ticket=${ticket}`,
    'as a list': ({ ticket }) => `${ticket},${ticket}`,
    'of 14 KB': ({ ticket }) => ticket.repeat(250),
    'of a prototype': () => '__proto__',
  }

  it.each(Object.entries(FORGED))('%s opens nothing, whether or not there is a stream', async (_, forge) => {
    const { gateway } = await startCounted()
    const stream = await create(gateway, bearer('ann'))
    const other = await create(gateway, bearer('ann'))
    const forged = forge({ ...stream, other })
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      const answers = []
      for (const id of [stream.id, missing()]) {
        const path = `/v1/streams/${id}?ticket=${forge({ id, ticket: issue(id), other })}`
        answers.push(comparable(await ask(portOf(gateway), path, { method }), id))
      }
      expect(answers[0]).toMatchObject({ status: 401, headers: { 'referrer-policy': 'no-referrer' } })
      expect(answers[0]).toEqual(answers[1])
    }
    // As long as the header is plain text.
    if (/^[\w.,]+$/.test(forged)) {
      const answer = await ask(portOf(gateway), `/v1/streams/${stream.id}`, { headers: { 'sluice-ticket': forged } })
      expect(answer.status).toBe(401)
    }
  })

  it('with any character changed, removed or added opens nothing', async () => {
    const { gateway } = await startCounted()
    const { id, ticket } = await create(gateway, bearer('ann'))
    expect((await ask(portOf(gateway), `/v1/streams/${id}?ticket=${ticket}`)).status).toBe(200)
    const character = fc.stringMatching(/^[\w.-]$/)
    await fc.assert(
      fc.asyncProperty(fc.nat(ticket.length), fc.nat(1), fc.oneof(character, fc.constant('')), async (at, cut, put) => {
        const changed = ticket.slice(0, at) + put + ticket.slice(at + cut)
        fc.pre(changed !== ticket)
        expect((await ask(portOf(gateway), `/v1/streams/${id}?ticket=${changed}`)).status).toBe(401)
      }),
      { numRuns: 300 },
    )
    // The last character has two bits that no byte takes: each of them is one ticket only.
    for (const last of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_') {
      const changed = ticket.slice(0, -1) + last
      const { status } = await ask(portOf(gateway), `/v1/streams/${id}?ticket=${changed}`)
      expect(status).toBe(changed === ticket ? 200 : 401)
    }
  })

  it('of reading neither stops its stream, nor opens another route, nor makes another ticket', async () => {
    const { gateway } = await startCounted()
    const { id, ticket } = await create(gateway, bearer('ann'), true)
    const port = portOf(gateway)
    const stopped = await ask(port, `/v1/streams/${id}?ticket=${ticket}`, { method: 'DELETE' })
    expect(stopped).toMatchObject({ status: 403, headers: { 'sluice-error': 'insufficient_scope' } })
    expect(gateway.services.generations.size).toBe(1)
    for (const path of ['/v1/models', '/v1/status', '/metrics', `/v1/ui/chat/${id}/stream`])
      expect((await ask(port, `${path}?ticket=${ticket}`)).status).toBe(401)
    for (const path of [`/v1/streams/${id}/tickets`, `/v1/ui/chat/${id}/stop`, '/v1/chat'])
      expect((await ask(port, `${path}?ticket=${ticket}`, { body: {} })).status).toBe(401)
    expect((await ask(port, `/v1/responses/resp_${id.slice(4)}?ticket=${ticket}`)).status).toBe(401)
  })

  it('of a stream that was dropped tells that it is gone, to its holder only', async () => {
    const { gateway } = await startCounted(1)
    const { id, ticket } = await create(gateway, bearer('ann'), true)
    await ask(portOf(gateway), `/v1/streams/${id}`, { method: 'DELETE', headers: bearer('ann') })
    const statusOf = async (options: AskOptions, query = '') =>
      (await ask(portOf(gateway), `/v1/streams/${id}${query}`, options)).status
    await expect.poll(() => statusOf({}, `?ticket=${ticket}`)).toBe(410)
    expect(await statusOf({ headers: bearer('ann') })).toBe(410)
    expect(await statusOf({ headers: bearer('bob') })).toBe(404)
  })
})

/** A well-formed id of no stream. */
let missed = 0
const missing = () => `str_${String(missed++).padStart(32, '0')}`

/** An answer without what names its request. */
function comparable({ status, headers, body }: Answer, id: string): Answer {
  const hide = (text: string) =>
    text
      .replaceAll(id, '{id}')
      .replaceAll(id.slice('str_'.length), '{id}')
      .replaceAll(String(headers['x-request-id']), '{request}')
  const { date: _, ...named } = headers
  return { status, headers: JSON.parse(hide(JSON.stringify(named))), body: hide(body) }
}

interface Probe {
  name: string
  path: (id: string) => string
  options: (id: string) => AskOptions
}

const chatBody = { messages: [{ role: 'user', content: 'hi' }], model: 'mock', mock: { text: 'a', interval_ms: 0 } }

/** Requests that name a stream in their path, one for each route of the table. */
function probesOf(routes: readonly Route[]): Probe[] {
  return routes
    .filter(({ path }) => /:(id|name)/.test(path) && path.startsWith('/v1'))
    .flatMap(({ method, path }) => {
      const toPath = (id: string) =>
        path.replace(':name', id).replace(':id', path.includes('/responses/') ? `resp_${id.slice('str_'.length)}` : id)
      const options = (headers: Record<string, string>): AskOptions => ({
        method: method.toUpperCase(),
        headers,
        ...(method === 'post' && { body: {} }),
      })
      const variants: [string, Record<string, string>, string][] = [
        ['', {}, ''],
        [', as JSON', { accept: 'application/json' }, ''],
        [', from a cursor', { 'last-event-id': '1' }, '?startIndex=1&starting_after=1&stream=true'],
        [', with a cursor that is none', { 'last-event-id': 'x' }, '?startIndex=x&starting_after=x&stream=true'],
        [', in another protocol', {}, '?protocol=openai-chat'],
      ]
      return variants.map(([variant, headers, query]) => ({
        name: `${method} ${path}${variant}`,
        path: (id) => toPath(id) + query,
        options: () => options(headers),
      }))
    })
}

/** Requests that name a stream in their body or headers. */
const NAMED: Probe[] = [
  {
    name: 'previous_response_id',
    path: () => '/v1/responses',
    options: (id) => ({ body: { model: 'mock', input: 'hi', previous_response_id: `resp_${id.slice(4)}` } }),
  },
  {
    name: 'a reference to an item of a response',
    path: () => '/v1/responses',
    options: (id) => ({ body: { model: 'mock', input: [{ type: 'item_reference', id: `msg_${id.slice(4)}_0` }] } }),
  },
  {
    name: 'an idempotency key that is resumed',
    path: () => '/v1/chat',
    options: (id) => ({ body: chatBody, headers: { 'idempotency-key': `key-${id}`, 'last-event-id': '1' } }),
  },
]

describe('a stream of another owner', () => {
  it('is, on each route, the same as one that is not there: in its answer, and in the steps to it', async () => {
    const { gateway, takeCalls } = await startCounted()
    const ended = await create(gateway, bearer('ann'))
    const running = await create(gateway, bearer('ann'), true)
    const ofUser = await create(gateway, bearer('bob', 'carl'))
    // Streams under the names that the probes use.
    for (const { id } of [ended, running, ofUser]) {
      const headers = { ...(id === ofUser.id ? bearer('bob', 'carl') : bearer('ann')), 'idempotency-key': `key-${id}` }
      expect((await ask(portOf(gateway), '/v1/chat', { body: chatBody, headers })).status).toBe(200)
    }
    const probes = [...probesOf(listRoutes(gateway.services)), ...NAMED]
    expect(probes.length).toBeGreaterThan(40)
    for (const { name, path, options } of probes) {
      const asked = async (id: string) => {
        takeCalls()
        const { headers, ...rest } = options(id)
        const answer = await ask(portOf(gateway), path(id), { ...rest, headers: { ...headers, ...bearer('bob') } })
        return { name, answer: comparable(answer, id), calls: takeCalls() }
      }
      const unknown = await asked(missing())
      expect([204, 400, 404]).toContain(unknown.answer.status)
      for (const { id } of [ended, running, ofUser]) expect(await asked(id)).toEqual(unknown)
    }
    expect(gateway.services.generations.size).toBe(1)
    expect((await gateway.services.store.find(ended.id, 'ann')).status).toBe('found')
  })

  it('that is a chat of the AI SDK is not found by its name', async () => {
    const { gateway, takeCalls } = await startCounted()
    const body = {
      id: 'chat-of-ann',
      messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text: 'hi' }] }],
      mock: { text: 'a b', stall_at: 1 },
    }
    const socket = connect(portOf(gateway).port, '127.0.0.1')
    const raw = JSON.stringify(body)
    socket.write(
      `POST /v1/ui/chat HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key-of-ann\r\ncontent-type: application/json\r\ncontent-length: ${raw.length}\r\n\r\n${raw}`,
    )
    await once(socket, 'data')
    for (const [path, method] of [
      ['stream', 'GET'],
      ['stop', 'POST'],
    ] as const) {
      const asked = async (name: string) => {
        takeCalls()
        const answer = await ask(portOf(gateway), `/v1/ui/chat/${name}/${path}`, { method, headers: bearer('bob') })
        return { answer: comparable(answer, 'str_none'), calls: takeCalls() }
      }
      expect(await asked('chat-of-ann')).toEqual(await asked('chat-of-zoe'))
    }
    expect(gateway.services.generations.size).toBe(1)
    socket.destroy()
  })

  it('does not lend its idempotency key: another owner starts a stream of its own', async () => {
    const { gateway } = await startCounted()
    const started = async (headers: Record<string, string>, body: object = chatBody) =>
      ask(portOf(gateway), '/v1/chat', { body, headers: { ...headers, 'idempotency-key': 'k' } })
    const ids = []
    for (const headers of [bearer('ann'), bearer('bob'), bearer('ann', 'carl'), bearer('bob', 'carl')])
      ids.push((await started(headers)).headers['sluice-stream-id'])
    expect(new Set(ids).size).toBe(4)
    // A conflict would tell that the key is in use.
    expect((await started(bearer('ann', 'dora'), { ...chatBody, seed: 7 })).status).toBe(200)
  })

  it('has expired for its owner only', async () => {
    const { gateway, takeCalls } = await startCounted(1)
    const { id } = await create(gateway, bearer('ann'), true)
    await ask(portOf(gateway), `/v1/streams/${id}`, { method: 'DELETE', headers: bearer('ann') })
    await expect
      .poll(async () => (await ask(portOf(gateway), `/v1/streams/${id}`, { headers: bearer('ann') })).status)
      .toBe(410)
    const asked = async (each: string) => {
      takeCalls()
      const answer = await ask(portOf(gateway), `/v1/streams/${each}`, { headers: bearer('bob') })
      return { answer: comparable(answer, each), calls: takeCalls() }
    }
    expect(await asked(id)).toEqual(await asked(missing()))
  })
})
