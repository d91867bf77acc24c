import { describe, expect, it } from 'vitest'
import { defineProvider } from '../../providers/provider.ts'
import type { Limits } from '../../src/access/caller.ts'
import type { LimitStore } from '../../src/access/limit-store.ts'
import { MemoryLimitStore } from '../../src/access/memory-limit-store.ts'
import type { Config } from '../../src/config.ts'
import type { Budget } from '../../src/store/budget.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { as, withKey } from '../support/keys.ts'
import { chat, open, resume, type Reader } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { startUpstream } from '../support/upstream.ts'

const quick = { mock: { text: 'a b c', interval_ms: 0 } }

const messages = [{ role: 'user', content: 'hi' }]

/** A request of each protocol, and its body of a refusal by a limit. */
const PROTOCOLS = [
  {
    path: '/v1/chat',
    body: { messages },
    shape: (code: string, retryable: boolean) => ({ code, status: 429, retryable }),
  },
  {
    path: '/v1/ui/chat',
    body: { messages: [{ id: '1', role: 'user', parts: [{ type: 'text', text: 'hi' }] }] },
    shape: (code: string, retryable: boolean) => ({ code, status: 429, retryable }),
  },
  { path: '/v1/chat/completions', body: { messages, model: 'mock' }, shape: openaiShape },
  { path: '/v1/responses', body: { input: 'hi', model: 'mock' }, shape: openaiShape },
  {
    path: '/v1/messages',
    body: { messages, model: 'mock', max_tokens: 20 },
    shape: (code: string) => ({ type: 'error', error: { type: 'rate_limit_error', sluice_code: code } }),
  },
]

function openaiShape(code: string) {
  return { error: { type: code === 'insufficient_quota' ? code : 'rate_limit_error', code } }
}

const post = (url: string, path: string, body: object, headers = as().headers) =>
  open(url + path, { method: 'POST', body, headers })

const metricOf = (gateway: TestGateway, limit: string, caller = 'app') =>
  gateway.metric(`sluice_limit_refusals_total{caller="${caller}",limit="${limit}"}`)

/** Whether the next request is let in. */
async function statusOf({ url }: TestGateway, fields: object = quick, user?: string): Promise<number> {
  return (await (await chat(url, { ...fields }, as(user))).end()).status
}

describe.each(PROTOCOLS)('over a limit, a caller of $path', ({ path, body, shape }) => {
  it.each<[string, Limits, string, string]>([
    ['of requests', { requestsPerMinute: 1 }, 'rate_limit_exceeded', 'requests_per_minute'],
    ['of tokens per minute', { tokensPerMinute: 30 }, 'rate_limit_exceeded', 'tokens_per_minute'],
    ['of tokens per day', { tokensPerDay: 30 }, 'insufficient_quota', 'tokens_per_day'],
  ])('%s gets 429 in its own shape', async (_, limits, code, label) => {
    const gateway = await startGateway(withKey({ limits }))
    // At least as much as the smallest limit of tokens.
    const first = { ...body, max_tokens: 20, mock: { text: 'word '.repeat(40), interval_ms: 0 } }
    const admitted = await (await post(gateway.url, path, first)).end()
    expect(admitted.status).toBe(200)
    expect(admitted.headers.ratelimit).toMatch(/^"caller-[a-z-]+";r=\d+;t=\d+$/)
    const refused = await (await post(gateway.url, path, body)).end()
    expect(refused.status).toBe(429)
    const retryable = code === 'rate_limit_exceeded'
    expect(refused.json).toMatchObject(shape(code, retryable))
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(refused.headers['sluice-error']).toBe(code)
    expect(refused.headers['ratelimit-policy']).toMatch(/^"caller-[a-z-]+";q=\d+(;qu="tokens")?;w=\d+$/)
    expect(refused.headers.ratelimit).toMatch(/^"caller-[a-z-]+";r=\d+;t=\d+$/)
    expect(await metricOf(gateway, label)).toBe(1)
    expect(gateway.logs.filter(({ msg }) => msg === 'generation ended')).toHaveLength(1)
  })
})

describe('a limit', () => {
  it('of requests holds to the unit for 200 callers at once', async () => {
    const limits = { requestsPerMinute: 120 }
    const gateway = await startGateway({ ...withKey({ limits, userLimits: { requestsPerMinute: 7 } }) })
    const users = Array.from({ length: 200 }, (_, i) => `user ${i % 20}`)
    const readers = await Promise.all(users.map(async (user) => (await chat(gateway.url, quick, as(user))).end()))
    // 20 users with 7 each would be 140.
    expect(readers.filter(({ status }) => status === 200)).toHaveLength(120)
    expect(readers.filter(({ status }) => status === 429)).toHaveLength(80)
    for (const user of new Set(users)) {
      const admitted = readers.filter(({ status }, i) => status === 200 && users[i] === user)
      expect(admitted.length).toBeLessThanOrEqual(7)
    }
  })

  it('of concurrent streams holds to the unit for 200 callers at once, and frees each slot', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway(withKey({ limits: { concurrentStreams: 30 } }), { providers: [provider] })
    const create = () => chat(gateway.url, { model: 'scripted' }, as())
    for (let round = 0; round < 2; round++) {
      const readers = await Promise.all(Array.from({ length: 200 }, create))
      const running = readers.filter(({ status }) => status === 200)
      expect(running).toHaveLength(30)
      expect(readers.find(({ status }) => status === 429)?.headers).toMatchObject({ 'retry-after': '1' })
      for (const run of provider.runs.splice(0)) run.done()
      await Promise.all(running.map((reader) => reader.end()))
    }
  })

  it('of tokens holds to the unit for 200 callers at once, and counts what was really used', async () => {
    // Reserved: 5 of the prompt and 15 of the answer. Used: 5 and 3, as the mock counts.
    const gateway = await startGateway({ ...withKey({ limits: { tokensPerDay: 1000 } }) })
    const ask = () => chat(gateway.url, { ...quick, max_tokens: 15 }, as())
    let [used, rounds] = [0, 0]
    for (let refused = false; !refused && rounds < 20; rounds++) {
      const readers = await Promise.all((await Promise.all(Array.from({ length: 200 }, ask))).map((each) => each.end()))
      for (const { dones } of readers)
        if (dones[0]) used += dones[0].usage!.prompt_tokens + dones[0].usage!.completion_tokens
      refused = readers.every(({ status }) => status === 429)
      expect(used).toBeLessThanOrEqual(1000)
    }
    const last = await (await ask()).end()
    expect(last.headers.ratelimit).toMatch(new RegExp(`^"caller-tokens-per-day";r=${1000 - used};`))
    expect(1000 - used).toBeLessThan(20)
  })

  it('of cost refuses once as much is spent, and says what is left in millionths', async () => {
    const prices = { 'mock/*': { input: 1000, output: 1000 } }
    const gateway = await startGateway({ ...withKey({ limits: { costPerDay: 0.05 } }), prices })
    // Five tokens of the prompt, and one for each letter and space at most.
    const ask = async () => (await chat(gateway.url, { ...quick, max_tokens: 10 }, as())).end()
    let [spent, last] = [0, await ask()]
    for (; last.status === 200; last = await ask()) {
      const { usage } = last.dones[0]!
      spent += usage!.prompt_tokens + usage!.completion_tokens
    }
    expect(spent).toBeGreaterThan(50 - 15)
    expect(spent).toBeLessThanOrEqual(50)
    expect(last.json).toMatchObject({ code: 'insufficient_quota', retryable: false })
    expect(last.headers.ratelimit).toMatch(new RegExp(`^"caller-cost-per-day";r=${(50 - spent) * 1000};`))
  })

  it('of cost refuses models without a price, which would never reach it', async () => {
    const prices = { 'other/*': { input: 1, output: 1 } }
    const gateway = await startGateway({ ...withKey({ limits: { costPerDay: 1 } }), prices })
    const refused = await (await chat(gateway.url, quick, as())).end()
    expect(refused.json).toMatchObject({
      code: 'model_not_allowed',
      detail: expect.stringContaining('mock/mock has no price'),
    })
    expect((await chat(gateway.url, quick, as(undefined, 'key-of-other'))).status).toBe(200)
    expect(await metricOf(gateway, 'models')).toBe(1)
  })

  it('of tokens takes what the ledger says, whatever an upstream reports', async () => {
    const boasting = defineProvider({
      name: 'boasting',
      async *stream() {
        const usage = { prompt_tokens: 1, completion_tokens: 1e308, total_tokens: 1e308 }
        yield { type: 'done', finish_reason: 'stop', usage }
      },
    })
    const gateway = await startGateway(withKey({ limits: { tokensPerDay: 1.5e9 } }), { providers: [boasting] })
    const ask = async () => (await chat(gateway.url, { model: 'boasting' }, as())).end()
    expect([(await ask()).status, (await ask()).status, (await ask()).status]).toEqual([200, 200, 429])
    const { usage } = (await (await open(`${gateway.url}/v1/usage`, as())).end()).json as { usage: object[] }
    expect(usage).toMatchObject([{ streams: 2, prompt_tokens: 2, completion_tokens: 2e9 }])
  })

  it('of all callers together counts each of them', async () => {
    const gateway = await startGateway({ ...withKey({}), limits: { requestsPerMinute: 2 } })
    expect((await (await chat(gateway.url, quick, as(undefined, 'key-of-other'))).end()).status).toBe(200)
    expect([await statusOf(gateway), await statusOf(gateway)]).toEqual([200, 429])
    expect(await metricOf(gateway, 'requests_per_minute')).toBe(1)
  })

  it('of users counts each of them', async () => {
    const gateway = await startGateway(withKey({ userLimits: { requestsPerMinute: 1 } }))
    expect([await statusOf(gateway, quick, 'ada'), await statusOf(gateway, quick, 'ada')]).toEqual([200, 429])
    // In the body, too.
    expect([
      await statusOf(gateway, { ...quick, user: 'bob' }),
      await statusOf(gateway, { ...quick, user: 'bob' }),
    ]).toEqual([200, 429])
    expect(await statusOf(gateway)).toBe(200)
  })

  it('is not told to callers who have none', async () => {
    const { url } = await startGateway(withKey({}))
    const { headers } = await (await chat(url, quick, as())).end()
    expect(Object.keys(headers).filter((name) => name.startsWith('ratelimit'))).toEqual([])
  })

  it('never cuts a running stream, and refuses the next one', async () => {
    const gateway = await startGateway(withKey({ limits: { tokensPerMinute: 50 } }))
    const reader = await (await chat(gateway.url, { mock: { text: 'word '.repeat(300), interval_ms: 0 } }, as())).end()
    expect(reader.dones).toMatchObject([{ finish_reason: 'stop', usage: { completion_tokens: 301 } }])
    expect(await statusOf(gateway)).toBe(429)
  })

  it('is given back by a stream that failed before it used anything', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway(withKey({ limits: { tokensPerDay: 100, concurrentStreams: 1 } }), {
      providers: [provider],
    })
    for (let i = 0; i < 3; i++) {
      const reader = await chat(gateway.url, { model: 'scripted', max_tokens: 80 }, as())
      ;(await provider.nextRun()).fail(new Error('No.'))
      expect((await reader.end()).dones).toMatchObject([{ finish_reason: 'error' }])
    }
  })

  it('refuses for good a request that exceeds it alone', async () => {
    const { url } = await startGateway(withKey({ limits: { tokensPerMinute: 50 } }))
    const { status, headers, json } = await (
      await post(url, '/v1/chat/completions', { messages, model: 'mock', max_tokens: 60 })
    ).end()
    expect(status).toBe(429)
    expect(headers).toMatchObject({ 'x-should-retry': 'false' })
    expect(headers['retry-after']).toBeUndefined()
    expect(json).toMatchObject({
      error: { message: expect.stringMatching(/50 tokens per minute.*may take 6\d tokens/) },
    })
  })
})

describe('a request that joins a stream', () => {
  it('counts as a request only', async () => {
    const provider = new ScriptedProvider()
    const limits = { concurrentStreams: 1, tokensPerMinute: 100, requestsPerMinute: 3 }
    const gateway = await startGateway(withKey({ limits }), { providers: [provider] })
    const join = (): Promise<Reader> =>
      chat(gateway.url, { model: 'scripted', max_tokens: 90 }, { headers: { ...as().headers, 'idempotency-key': 'k' } })
    const first = await join()
    const second = await join()
    expect(second.id).toBe(first.id)
    expect((await chat(gateway.url, { model: 'scripted' }, as())).status).toBe(429)
    expect((await resume(gateway.url, first.id, 0, as())).status).toBe(200)
    ;(await provider.nextRun()).done()
    for (const reader of [first, second]) expect((await reader.end()).dones).toHaveLength(1)
    expect((await join()).status).toBe(200)
    const last = await (await join()).end()
    expect(last.json).toMatchObject({ code: 'rate_limit_exceeded', detail: expect.stringContaining('requests') })
  })
})

it('a request whose stream is cancelled before it joins starts another one within the limits', async () => {
  const provider = new ScriptedProvider()
  let before = async () => {}
  const limitStore = (_: Config, budget: Budget): LimitStore => {
    const memory = new MemoryLimitStore(budget)
    return {
      take: async (claims, account) => {
        await before()
        return memory.take(claims, account)
      },
      add: (...given) => memory.add(...given),
      giveBack: (...given) => memory.giveBack(...given),
      close: () => memory.close(),
    }
  }
  const limits = { concurrentStreams: 1, requestsPerMinute: 100 }
  const gateway = await startGateway(withKey({ limits }), { providers: [provider], limitStore })
  const join = () => chat(gateway.url, { model: 'scripted' }, { headers: { ...as().headers, 'idempotency-key': 'k' } })
  const first = await join()
  before = async () => {
    before = async () => {}
    await open(`${gateway.url}/v1/streams/${first.id}`, { method: 'DELETE', ...as() })
  }
  const second = await join()
  expect([second.status, second.id === first.id]).toEqual([200, false])
  expect((await chat(gateway.url, { model: 'scripted' }, as())).status).toBe(429)
})

describe('a limit of the answer', () => {
  it.each([
    ['/v1/chat', { messages, max_completion_tokens: 101 }, 'max_completion_tokens'],
    ['/v1/chat', { messages, max_tokens: 51, n: 2 }, 'max_tokens'],
    ['/v1/chat', { messages, n: 101 }, 'n'],
    ['/v1/chat/completions', { messages, model: 'mock', max_tokens: 101 }, 'max_tokens'],
    ['/v1/responses', { input: 'hi', model: 'mock', max_output_tokens: 101 }, 'max_output_tokens'],
    ['/v1/messages', { messages, model: 'mock', max_tokens: 101 }, 'max_tokens'],
    ['/v1/ui/chat', { messages: PROTOCOLS[1]!.body.messages, maxOutputTokens: 101 }, 'maxOutputTokens'],
    ['/v1/completions', { prompt: 'hi', model: 'mock', max_tokens: 101 }, 'max_tokens'],
    ['/v1/completions', { prompt: 'hi', model: 'mock', max_tokens: '101' }, 'max_tokens'],
    ['/v1/completions', { prompt: 'hi', model: 'mock', max_tokens: -1 }, 'max_tokens'],
    ['/v1/chat/completions', { messages, model: 'mock', max_tokens: 5, n_predict: 101 }, 'n_predict'],
    ['/v1/chat/completions', { messages, model: 'mock', n_predict: -1 }, 'n_predict'],
    ['/v1/completions', { prompt: 'hi', model: 'mock', max_tokens: 51, best_of: 2 }, 'max_tokens'],
    ['/v1/completions', { prompt: ['a', 'b'], model: 'mock', max_tokens: 51 }, 'max_tokens'],
  ])('refuses %s %j by name', async (path, body, field) => {
    const gateway = await startGateway(withKey({ limits: { maxTokens: 100 } }))
    const { status, headers, body: text } = await (await post(gateway.url, path, body)).end()
    expect(status).toBe(400)
    expect(headers['sluice-error']).toBe('invalid_request')
    expect(text).toContain(`${field}: must be at most 100`)
    expect(await metricOf(gateway, 'max_tokens')).toBe(1)
  })

  it('is sent upstream where a request names none', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway(withKey({ limits: { maxTokens: 100 } }), { providers: [provider] })
    const asked = async (fields: object) => {
      await chat(gateway.url, { model: 'scripted', ...fields }, as())
      const { request } = await provider.nextRun()
      return [request.max_tokens, request.max_completion_tokens]
    }
    expect(await asked({})).toEqual([100, undefined])
    expect(await asked({ n: 3 })).toEqual([33, undefined])
    expect(await asked({ max_completion_tokens: 7 })).toEqual([undefined, 7])
  })

  it('is sent to an upstream that gets the request of the Responses API as it came', async () => {
    const upstream = await startUpstream((response) => void response.writeHead(400).end('{}'))
    const openai = {
      type: 'openai' as const,
      baseUrl: upstream.url,
      headers: {},
      includeUsage: true,
      api: 'responses' as const,
    }
    const gateway = await startGateway({ ...withKey({ limits: { maxTokens: 100 } }), providers: { openai } })
    await (await post(gateway.url, '/v1/responses', { input: 'hi', model: 'gpt-5' })).end()
    expect(upstream.requests[0]?.body).toMatchObject({ max_output_tokens: 100 })
  })
})

describe('requests that are passed on', () => {
  const settings = (url: string) => ({
    providers: { up: { type: 'openai' as const, baseUrl: url, headers: {}, includeUsage: true } },
  })

  it('are sent with the limit of the answer where they name none and ask for a text', async () => {
    const upstream = await startUpstream((response) => void response.writeHead(200).end('{}'))
    const gateway = await startGateway({ ...withKey({ limits: { maxTokens: 100 } }), ...settings(upstream.url) })
    const send = async (path: string, body: object) => (await post(gateway.url, path, { model: 'm', ...body })).end()
    await send('/v1/completions', { prompt: 'hi' })
    await send('/v1/completions', { prompt: ['a', 'b'], max_tokens: null })
    await send('/v1/completions', { prompt: 'hi', max_tokens: 7 })
    await send('/v1/embeddings', { input: 'hi' })
    const sent = upstream.requests.map(({ body }) => (body as { max_tokens?: number }).max_tokens)
    expect(sent).toEqual([100, 50, 7, undefined])
  })

  const embed = (url: string) => post(url, '/v1/embeddings', { model: 'm', input: 'hi' })

  it('count as requests and as concurrent streams; the headers are ours, not those of the upstream', async () => {
    const held: (() => void)[] = []
    const { url } = await startUpstream((response) => {
      held.push(() => response.writeHead(200, { ratelimit: '"upstream";r=1', 'x-ratelimit-limit': '3' }).end('{}'))
    })
    const limits = { concurrentStreams: 1, requestsPerMinute: 2 }
    const gateway = await startGateway({ ...withKey({ limits }), ...settings(url) })
    const first = embed(gateway.url)
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(await (await (await embed(gateway.url)).end()).json).toMatchObject({ error: { type: 'rate_limit_error' } })
    held[0]!()
    const { headers } = await (await first).end()
    expect(headers).toMatchObject({
      ratelimit: expect.stringMatching(/^"caller-requests-per-minute";r=1;t=\d+, "caller-concurrent-streams";r=0$/),
      'x-ratelimit-limit': '3',
    })
    const second = embed(gateway.url)
    while (held.length === 1) await new Promise((resolve) => setImmediate(resolve))
    held[1]!()
    expect((await (await second).end()).status).toBe(200)
    expect((await (await embed(gateway.url)).end()).status).toBe(429)
  })

  it('pass the headers of the upstream on where the caller has no limits', async () => {
    const { url } = await startUpstream((response) => void response.writeHead(200, { ratelimit: '"up";r=1' }).end('{}'))
    const gateway = await startGateway({ ...withKey({}), ...settings(url) })
    expect((await (await embed(gateway.url)).end()).headers.ratelimit).toBe('"up";r=1')
  })

  it.each([
    ['/v1/embeddings', { model: 'mock', input: 'hi', user: 'eve' }],
    ['/v1/messages/count_tokens', { model: 'mock', messages, metadata: { user_id: 'eve' } }],
  ])('count for the user that the body names: %s', async (path, body) => {
    const { url } = await startGateway(withKey({ userLimits: { requestsPerMinute: 1 } }))
    const other = JSON.parse(JSON.stringify(body).replace('eve', 'ann'))
    const statuses = [await post(url, path, body), await post(url, path, body), await post(url, path, other)]
    expect(statuses.map(({ status }) => status)).toEqual([200, 429, 200])
  })

  it('count tokens as a request', async () => {
    const { url } = await startGateway(withKey({ limits: { requestsPerMinute: 1, concurrentStreams: 0 } }))
    const count = async () =>
      (await (await post(url, '/v1/messages/count_tokens', { messages, model: 'mock' })).end()).status
    expect([await count(), await count()]).toEqual([200, 429])
  })
})
