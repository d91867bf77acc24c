import { describe, expect, it } from 'vitest'
import { Adaptations } from '../../providers/openai/adaptations.ts'
import { stream, WHOLE } from '../support/faults.ts'
import { startGateway } from '../support/gateway.ts'
import { open } from '../support/reader.ts'
import { startUpstream, type Answer } from '../support/upstream.ts'

type Body = Record<string, unknown>

/** A gateway to a server that refuses what `refuse` has an error for; anything else it answers, in the way asked for. */
async function gatewayTo(refuse: (body: Body) => unknown, status = 400, more: Answer = stream(WHOLE)) {
  const upstream = await startUpstream((response, request) => {
    const error = refuse(request.body)
    if (error !== undefined)
      return void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(error))
    if (request.body.stream !== false) return more(response, request)
    const message = { role: 'assistant', content: 'one two ' }
    const completion = { id: 'c', object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completion))
  })
  const gateway = await startGateway({
    providers: { up: { type: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true } },
  })
  const ask = async (fields: Body, path = '/v1/chat/completions') => {
    const body = JSON.stringify({ model: 'up/m', messages: [{ role: 'user', content: 'hi' }], ...fields })
    return (await open(`${gateway.url}${path}`, { method: 'POST', body })).end()
  }
  return { ask, asked: () => upstream.requests.map(({ body }) => body) }
}

const unsupported = (param: string, message: string) => ({
  error: { message, type: 'invalid_request_error', param, code: 'unsupported_parameter' },
})
const refusesOldName = ({ max_tokens }: Body) =>
  max_tokens === undefined
    ? undefined
    : unsupported(
        'max_tokens',
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      )
const refusesNewName = ({ max_completion_tokens }: Body) =>
  max_completion_tokens === undefined
    ? undefined
    : {
        detail: [
          { type: 'extra_forbidden', loc: ['body', 'max_completion_tokens'], msg: 'Extra inputs are not permitted' },
        ],
      }

describe('a request that is refused for one field', () => {
  it('is sent again with the new name of its limit, and so are the next for this model', async () => {
    const { ask, asked } = await gatewayTo(refusesOldName)
    for (const path of ['/v1/messages', '/v1/messages', '/v1/chat/completions']) {
      const reader = await ask({ max_tokens: 100 }, path)
      expect([reader.status, reader.headers['sluice-attempts']]).toEqual([200, '1'])
    }
    const limits = asked().map(({ max_tokens, max_completion_tokens }) => [max_tokens, max_completion_tokens])
    expect(limits).toEqual([
      [100, undefined],
      [undefined, 100],
      [undefined, 100],
      [undefined, 100],
    ])
  })

  it('is sent again with the old name of its limit', async () => {
    const { ask, asked } = await gatewayTo(refusesNewName, 422)
    for (let i = 0; i < 2; i++) expect((await ask({ max_completion_tokens: 100 })).status).toBe(200)
    expect(asked().map(({ max_tokens }) => max_tokens)).toEqual([undefined, 100, 100])
  })

  it('is sent again with stream: false, and a streaming client gets the answer in one piece', async () => {
    const { ask, asked } = await gatewayTo((body) =>
      body.stream === true
        ? {
            error: {
              message: 'Your organization must be verified to stream this model.',
              type: 'invalid_request_error',
              param: 'stream',
              code: 'unsupported_value',
            },
          }
        : undefined,
    )
    const whole = await ask({})
    expect(whole.json).toMatchObject({ choices: [{ message: { content: 'one two ' } }] })
    const streamed = await ask({ stream: true })
    expect(streamed.body).toContain('one two ')
    expect(streamed.body).toContain('[DONE]')
    expect(asked().map((body) => [body.stream, body.stream_options])).toEqual([
      [true, { include_usage: true }],
      [false, undefined],
      [false, undefined],
    ])
  })

  it('is sent again without stream_options', async () => {
    const { ask, asked } = await gatewayTo(({ stream_options }) =>
      stream_options ? { error: { message: 'Unrecognized request argument supplied: stream_options' } } : undefined,
    )
    for (let i = 0; i < 2; i++) expect((await ask({})).status).toBe(200)
    expect(asked().map(({ stream_options }) => stream_options)).toEqual([{ include_usage: true }, undefined, undefined])
  })

  it('is adapted as often as it takes', async () => {
    const { ask, asked } = await gatewayTo((body) =>
      body.stream_options ? { error: { message: 'Unknown field: stream_options' } } : refusesOldName(body),
    )
    expect((await ask({ max_tokens: 5 })).status).toBe(200)
    expect(asked()).toHaveLength(3)
    expect((await ask({ max_tokens: 5 })).status).toBe(200)
    expect(asked()).toHaveLength(4)
  })

  it('fails when the server takes neither name, after one more request', async () => {
    const { ask, asked } = await gatewayTo((body) => refusesOldName(body) ?? refusesNewName(body))
    for (let i = 1; i <= 2; i++) {
      const reader = await ask({ max_tokens: 100 })
      expect([reader.status, reader.headers['sluice-error']]).toEqual([400, 'upstream_rejected'])
      expect(asked()).toHaveLength(2 * i)
    }
  })

  it.each<[what: string, error: unknown, fields: Body]>([
    [
      'a limit that is too high',
      { error: { message: 'max_tokens is too large: 100. This model supports at most 50.', param: 'max_tokens' } },
      { max_tokens: 100 },
    ],
    [
      'two limits',
      { error: { message: "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported." } },
      { max_tokens: 1, max_completion_tokens: 1 },
    ],
    ['another field', unsupported('temperature', "Unsupported parameter: 'temperature'"), { temperature: 1 }],
    [
      'options of the caller’s own',
      { error: { message: 'Unknown stream_options: x', param: 'stream_options' } },
      { stream_options: { x: 1 } },
    ],
  ])('is not sent again for %s', async (_, error, fields) => {
    const { ask, asked } = await gatewayTo(() => error)
    expect((await ask(fields)).status).toBe(400)
    expect(asked()).toHaveLength(1)
  })

  it('is not sent again when the status is no refusal', async () => {
    const { ask, asked } = await gatewayTo(refusesOldName, 401)
    expect((await ask({ max_tokens: 100 })).status).toBe(502)
    expect(asked()).toHaveLength(1)
  })
})

describe('what worked for a model', () => {
  const rename = {
    about: 'limit' as const,
    isAskedFor: () => true,
    change: ({ old, ...body }: Body) => (old === undefined ? undefined : { ...body, new: old }),
  }

  it('is forgotten after an hour', () => {
    let now = 0
    const adaptations = new Adaptations(() => now)
    adaptations.remember('m', [rename])
    expect(adaptations.adapt('m', { old: 1 })).toEqual({ new: 1 })
    expect(adaptations.adapt('other', { old: 1 })).toEqual({ old: 1 })
    now = 60 * 60_000 + 1
    expect(adaptations.adapt('m', { old: 1 })).toEqual({ old: 1 })
  })

  it('is forgotten when 1,024 other models came after it', () => {
    const adaptations = new Adaptations()
    for (let i = 0; i <= 1024; i++) adaptations.remember(`m${i}`, [rename])
    expect(adaptations.adapt('m0', { old: 1 })).toEqual({ old: 1 })
    expect(adaptations.adapt('m1', { old: 1 })).toEqual({ new: 1 })
  })
})
