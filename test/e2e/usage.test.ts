import { itAlone } from '../support/gateway.ts'
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'
import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config.ts'
import { ProviderError } from '../../providers/provider.ts'
import { SluiceError } from '../../src/errors.ts'
import type { Done, Usage } from '../../src/stream/events.ts'
import type { StreamLog } from '../../src/stream/stream-log.ts'
import { breaks as breaksMessages } from '../support/anthropic-upstream.ts'
import { answers, breaks, refuses, says, USAGE } from '../support/openai-upstream.ts'
import { chat, open, type Reader } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { chatChunks, chunk, startUpstream, type Answer } from '../support/upstream.ts'
import { startChargingGateway, type ChargingGateway } from '../support/usage.ts'

const PIECES = ['The quick', ' brown fox', ' jumps over', ' the lazy dog.']
const TEXT = PIECES.join('')
const PROMPT = 'Tell me of the fox.'
/** With the constant for a message. */
const PROMPT_TOKENS = countTokens(PROMPT) + 4
const PRICES = { 'upstream/*': { input: 2, output: 10 } }

const openai = (baseUrl: string): Config['providers'] => ({
  upstream: { type: 'openai', baseUrl, headers: {}, includeUsage: true },
})

async function stage(answer: Answer, settings: Partial<Config> = {}) {
  const upstream = await startUpstream(answer)
  const gateway = await startChargingGateway({ providers: openai(upstream.url), prices: PRICES, ...settings })
  return { gateway, upstream }
}

const ask = (gateway: ChargingGateway, headers: Record<string, string> = {}) =>
  chat(gateway.url, { model: 'upstream/m', messages: [{ role: 'user', content: PROMPT }] }, { headers })

/** Says all of the text, and then nothing. */
const hangs: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(chatChunks(...PIECES.map((content) => chunk({ content }))))
}

const silent: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
}

const estimate = (prompt: number, completion: number): Usage => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  estimated: true,
})

const NONE: Usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }

async function logOf({ services }: ChargingGateway, { id }: Reader): Promise<StreamLog> {
  const found = await services.store.find(id, 'anonymous')
  if (found.status !== 'found') throw new Error(found.status)
  return found.log
}

/** The stream has this usage: in its log, its charge, and all that counts it. */
async function expectCharge(gateway: ChargingGateway, done: Omit<Done, 'type'> | undefined, usage: Usage) {
  expect(done?.usage).toEqual(usage)
  const { prompt_tokens, completion_tokens, estimated = false } = usage
  const cost = (prompt_tokens * 2 + completion_tokens * 10) / 1e6
  expect(done?.cost).toBeCloseTo(cost, 12)
  expect(gateway.charges).toMatchObject([
    {
      kind: 'stream',
      provider: 'upstream',
      model: 'm',
      finish_reason: done?.finish_reason,
      prompt_tokens,
      completion_tokens,
      estimated,
    },
  ])
  expect(await gateway.lines()).toMatchObject([{ caller: 'anonymous', prompt_tokens, completion_tokens }])
  await gateway.audit()
}

describe('the usage of a stream', () => {
  it('is the upstream’s when its answer is complete', async () => {
    const { gateway } = await stage(answers(says(PIECES)))
    const [done] = (await (await ask(gateway)).end()).dones
    await expectCharge(gateway, done, USAGE)
    expect(gateway.logs.find(({ msg }) => msg === 'generation ended')).toMatchObject({
      caller: 'anonymous',
      prompt_tokens: 19,
      cost: done?.cost,
    })
  })

  it('is estimated when the upstream tells none', async () => {
    const { gateway } = await stage((response, { body }) =>
      answers(says(PIECES))(response, { body: { ...body, stream_options: {} } } as never),
    )
    const [done] = (await (await ask(gateway)).end()).dones
    expect(done?.finish_reason).toBe('stop')
    await expectCharge(gateway, done, estimate(PROMPT_TOKENS, countTokens(TEXT)))
  })

  it.each(['reset', 'end', 'error'] as const)('is estimated when the upstream breaks off (%s)', async (how) => {
    const { gateway } = await stage(breaks(says(PIECES), 4, how))
    const [done] = (await (await ask(gateway)).end()).dones
    expect(done?.finish_reason).toBe('error')
    await expectCharge(gateway, done, estimate(PROMPT_TOKENS, countTokens(PIECES.slice(0, 3).join(''))))
  })

  it('is estimated when a reader stops it: the DELETE is answered when the tokens are counted', async () => {
    const { gateway } = await stage(hangs)
    const reader = await (await ask(gateway)).until(({ text }) => text === TEXT)
    const deleted = await (await open(`${gateway.url}/v1/streams/${reader.id}`, { method: 'DELETE' })).end()
    expect(deleted.status).toBe(204)
    expect((await logOf(gateway, reader)).done).toMatchObject({ finish_reason: 'cancelled' })
    const [done] = (await reader.end()).dones
    await expectCharge(gateway, done, estimate(PROMPT_TOKENS, countTokens(TEXT)))
  })

  it('is the estimate of the prompt when a reader stops it before a token', async () => {
    const { gateway, upstream } = await stage(silent)
    const reader = await ask(gateway)
    await upstream.request(0)
    await open(`${gateway.url}/v1/streams/${reader.id}`, { method: 'DELETE' })
    const [done] = (await reader.end()).dones
    await expectCharge(gateway, done, estimate(PROMPT_TOKENS, 0))
  })

  it('is charged when an SDK’s client leaves before the usage chunk', async () => {
    const { gateway, upstream } = await stage(hangs)
    const body = { model: 'upstream/m', messages: [{ role: 'user', content: PROMPT }], stream: true }
    const reader = await open(`${gateway.url}/v1/chat/completions`, { method: 'POST', body })
    await reader.until((each) => each.body.includes('lazy dog'))
    reader.cut()
    await (
      await upstream.request(0)
    ).closed
    await gateway.services.generations.idle()
    await expectCharge(gateway, (await logOf(gateway, reader)).done, estimate(PROMPT_TOKENS, countTokens(TEXT)))
  })

  itAlone('is estimated when the gateway shuts down, and the usage log has it before the process ends', async () => {
    const { gateway } = await stage(hangs)
    const reader = await (await ask(gateway)).until(({ text }) => text === TEXT)
    await gateway.drain()
    const [done] = (await reader.end()).dones
    expect(done).toMatchObject({ finish_reason: 'error', error: { code: 'gateway_shutdown' } })
    await expectCharge(gateway, done, estimate(PROMPT_TOKENS, countTokens(TEXT)))
  })

  it('is guessed at once when the stream must make room', async () => {
    const { gateway } = await stage(hangs)
    const reader = await (await ask(gateway)).until(({ text }) => text === TEXT)
    const log = await logOf(gateway, reader)
    log.onDisplaced?.(new SluiceError('store_full', 'No room.'))
    expect(log.done).toMatchObject({ error: { code: 'store_full' } })
    const guess = estimate(Math.ceil(PROMPT.length / 4) + 4, Math.ceil(TEXT.length / 4))
    await expectCharge(gateway, log.done, guess)
  })

  it('is nothing when the upstream refuses the request, or is not there', async () => {
    const { gateway } = await stage(refuses(400, 'invalid_request_error'))
    const [done] = (await (await ask(gateway)).end()).dones
    await expectCharge(gateway, done, NONE)
    const without = await startChargingGateway({ providers: openai('http://127.0.0.1:1'), prices: PRICES })
    const [failed] = (await (await ask(without)).end()).dones
    await expectCharge(without, failed, NONE)
  })

  it('counts the prompt as Anthropic did at the start of an answer that is cut', async () => {
    const upstream = await startUpstream(breaksMessages('text', 6, 'reset'))
    const providers: Config['providers'] = {
      upstream: { type: 'anthropic', baseUrl: upstream.url, headers: {} } as never,
    }
    const gateway = await startChargingGateway({ providers })
    const reader = await (await chat(gateway.url, { model: 'upstream/m', max_tokens: 9 })).end()
    const request = reader.dones[0]?.usage
    expect(request?.prompt_tokens).toBeGreaterThan(8)
    expect(request?.completion_tokens).toBeGreaterThan(0)
    await gateway.audit()
  })
})

describe('what a plugin ends with', () => {
  async function run(script: (run: Awaited<ReturnType<ScriptedProvider['nextRun']>>) => void, settings = {}) {
    const provider = new ScriptedProvider('upstream')
    const gateway = await startChargingGateway({ prices: PRICES, ...settings }, { providers: [provider] })
    const reader = await chat(gateway.url, { model: 'upstream', messages: [{ role: 'user', content: PROMPT }] })
    script(await provider.nextRun())
    await reader.end()
    await gateway.audit()
    return reader.dones[0]
  }

  it('is estimated when it throws after a token', async () => {
    const done = await run((each) => {
      each.text(...PIECES)
      each.fail(new Error('boom'))
    })
    expect(done?.usage).toEqual(estimate(PROMPT_TOKENS, countTokens(TEXT)))
  })

  it('is nothing when it throws before', async () => {
    expect((await run((each) => each.fail(new Error('boom'))))?.usage).toEqual(NONE)
  })

  it('is its own figure of the prompt, and an estimate of the completion when that is far more', async () => {
    const usage = {
      prompt_tokens: 100,
      completion_tokens: 1,
      total_tokens: 101,
      prompt_tokens_details: { cached_tokens: 60 },
    }
    const failing = (given: Usage) =>
      run((each) => {
        each.text(...PIECES)
        each.fail(new ProviderError({ code: 'upstream_disconnected', message: 'Gone.', usage: given }))
      })
    const completion = countTokens(TEXT)
    expect((await failing(usage))?.usage).toEqual({ ...usage, ...estimate(100, completion) })
    const final = { ...usage, completion_tokens: completion - 1, total_tokens: 99 + completion }
    expect((await failing(final))?.usage).toEqual(final)
  })

  it('counts texts, thoughts, refusals and tool calls of all choices', async () => {
    const done = await run((each) => {
      each.yield(
        { type: 'delta', content: 'Hello there' },
        { type: 'delta', reasoning: ' I should think' },
        { type: 'delta', index: 1, content: ' General Kenobi' },
        { type: 'delta', refusal: ' I cannot' },
        {
          type: 'delta',
          tool_calls: [{ index: 0, id: 'a', function: { name: 'get_weather', arguments: '{"city":"Bonn"}' } }],
        },
      )
      each.done()
    })
    const text = 'Hello there I should think General Kenobi I cannotget_weather{"city":"Bonn"}'
    expect(done?.usage?.completion_tokens).toBe(countTokens(text))
  })

  it('may not name a cost', async () => {
    const done = await run((each) => each.yield({ type: 'done', finish_reason: 'stop', usage: NONE, cost: 1e6 }), {
      prices: {},
    })
    expect(done).not.toHaveProperty('cost')
  })
})

describe('an estimate', () => {
  it('is no part of an answer in the upstream’s own protocol', async () => {
    const { gateway } = await stage((response, { body }) => {
      if (body.stream === true) return hangsUp(response)
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
    const body = { model: 'upstream/m', messages: [{ role: 'user', content: PROMPT }] }
    const url = `${gateway.url}/v1/chat/completions`
    const whole = await (await open(url, { method: 'POST', body })).end()
    expect(whole.json).not.toHaveProperty('usage')
    expect(whole.headers['sluice-cost']).toBe(String((PROMPT_TOKENS * 2 + countTokens(TEXT) * 10) / 1e6))
    const streamed = { ...body, stream: true, stream_options: { include_usage: true } }
    const chunks = await (await open(url, { method: 'POST', body: streamed })).end()
    expect(chunks.body).toContain('[DONE]')
    expect(chunks.body).not.toContain('prompt_tokens')
    const response = await (
      await open(`${gateway.url}/v1/responses`, { method: 'POST', body: { model: 'upstream/m', input: PROMPT } })
    ).end()
    expect(response.json).toMatchObject({ usage: { input_tokens: 0, output_tokens: 0 } })
    const snapshot = await open(`${gateway.url}/v1/streams/${whole.id}`, { headers: { accept: 'application/json' } })
    expect(snapshot.headers['sluice-cost']).toBe(whole.headers['sluice-cost'])
    expect((await snapshot.end()).json).toMatchObject({ cost: Number(whole.headers['sluice-cost']) })
    const ui = await open(`${gateway.url}/v1/streams/${whole.id}?protocol=ui-messages`)
    expect((await ui.end()).body).toContain(`"outputTokens":${countTokens(TEXT)}`)
    expect(ui.body).toContain('"estimated":true')
  })
})

/** A whole answer without usage. */
const hangsUp = (response: Parameters<Answer>[0]) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const deltas = PIECES.map((content) => chunk({ content }))
  response.end(chatChunks(...deltas, chunk({}, { finish_reason: 'stop' }), '[DONE]'))
}

it('blocks nothing: a megabyte of Chinese is counted in many turns, and other requests are answered meanwhile', async () => {
  const pieces = Array.from({ length: 350 }, (_, i) => `${i}`.padEnd(1000, '春眠不覺曉處處聞啼鳥'))
  const { gateway } = await stage((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(chatChunks(...pieces.map((content) => chunk({ content }))))
  })
  const reader = await (await ask(gateway)).until(({ text }) => text.length === 350_000)
  const answered: string[] = []
  let turns = 0
  const count = () => {
    turns += 1
    if (answered.length < 2) setImmediate(count)
  }
  const deleted = open(`${gateway.url}/v1/streams/${reader.id}`, { method: 'DELETE' })
  setImmediate(count)
  const note = (what: string) => () => void answered.push(what)
  await Promise.all([deleted.then(note('deleted')), open(`${gateway.url}/healthz`).then(note('healthz'))])
  expect(answered).toEqual(['healthz', 'deleted'])
  expect(turns).toBeGreaterThan(40)
  const [done] = (await reader.end()).dones
  const expected = pieces.reduce((sum, piece) => sum + countTokens(piece), 0)
  expect(done?.usage?.completion_tokens).toBeGreaterThan(expected * 0.95)
  expect(done?.usage?.completion_tokens).toBeLessThan(expected * 1.05)
})

describe('GET /v1/usage', () => {
  it('tells by day and model what was used, as JSON and as CSV', async () => {
    const { gateway } = await stage(answers(says(PIECES)))
    for (let i = 0; i < 3; i++) await (await ask(gateway)).end()
    const today = new Date().toISOString().slice(0, 10)
    const row = {
      date: today,
      caller: 'anonymous',
      model: 'upstream/m',
      streams: 3,
      forwards: 0,
      prompt_tokens: 57,
      completion_tokens: 30,
      estimated_tokens: 0,
      cost: 0.000414,
    }
    const json = await (await open(`${gateway.url}/v1/usage?from=${today}&to=${today}`)).end()
    expect(json.json).toEqual({ from: today, to: today, usage: [row] })
    expect((await (await open(`${gateway.url}/v1/usage?caller=nobody`)).end()).json).toMatchObject({ usage: [] })
    for (const reader of [
      await open(`${gateway.url}/v1/usage`, { headers: { accept: 'text/csv' } }),
      await open(`${gateway.url}/v1/usage?format=csv`),
    ]) {
      await reader.end()
      expect(reader.headers['content-type']).toMatch(/^text\/csv/)
      const columns = 'date,caller,model,streams,forwards,prompt_tokens,completion_tokens,estimated_tokens,cost'
      expect(reader.body).toBe(`${columns}\r\n${today},anonymous,upstream/m,3,0,57,30,0,0.000414\r\n`)
    }
  })

  it.each([
    ['from=yesterday', 'from'],
    ['to=2026-02-30', 'to'],
    ['from=2026-01-01&from=2026-01-02', 'from'],
    ['from=2026-02-02&to=2026-02-01', 'from'],
    ['format=xml', 'format'],
    ['caller=a&caller=b', 'caller'],
  ])('refuses %s, naming %s', async (query, field) => {
    const { gateway } = await stage(hangs)
    const refused = await (await open(`${gateway.url}/v1/usage?${query}`)).end()
    expect(refused.status).toBe(400)
    expect(refused.json).toMatchObject({ errors: [{ path: field }] })
  })
})

describe('a request that is passed on', () => {
  const path = '/v1/embeddings'
  const send = async (answer: Answer) => {
    const { gateway } = await stage(answer)
    const body = { model: 'upstream/m', input: 'fox' }
    const reader = await (await open(`${gateway.url}${path}`, { method: 'POST', body })).end()
    return { gateway, reader }
  }

  it('is charged what the end of its response says', async () => {
    const data = [{ embedding: Array.from({ length: 4000 }, () => 0.5) }]
    const { gateway } = await send((response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ data, usage: { prompt_tokens: 8, total_tokens: 8 } }))
    })
    expect(gateway.charges).toMatchObject([
      {
        kind: 'forward',
        streamId: undefined,
        finish_reason: 'stop',
        prompt_tokens: 8,
        completion_tokens: 0,
        nanos: 16_000,
      },
    ])
    expect(await gateway.audit()).toMatchObject({ streams: 0, prompt: 8 })
  })

  it('is charged nothing when its response does not say', async () => {
    const { gateway } = await send((response) => void response.writeHead(200).end('{"usage":{"prompt_tokens":8}}'))
    expect(gateway.charges).toMatchObject([{ kind: 'forward', prompt_tokens: 0 }])
  })

  it('is charged an estimate when its client leaves before a stream tells its usage', async () => {
    const { gateway } = await stage((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: {"choices":[{"text":"a"}]}\n\ndata: {"choices":[{"text":" b"}]}\n\n')
    })
    const body = { model: 'upstream/m', prompt: 'fox', stream: true }
    const reader = await open(`${gateway.url}/v1/completions`, { method: 'POST', body })
    await reader.until(({ messages }) => messages.length === 2)
    reader.cut()
    await expect
      .poll(() => gateway.charges)
      .toMatchObject([{ kind: 'forward', finish_reason: 'cancelled', completion_tokens: 2, estimated: true }])
    expect(gateway.charges[0]!.prompt_tokens).toBeGreaterThan(0)
  })

  it('is not charged when no upstream answers', async () => {
    const { gateway, reader } = await send(refuses(400, 'invalid_request_error'))
    expect(reader.status).toBe(400)
    expect(gateway.charges).toEqual([])
  })
})
