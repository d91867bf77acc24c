import Anthropic from '@anthropic-ai/sdk'
import { readFileSync } from 'node:fs'
import OpenAI from 'openai'
import type { Response, ResponseCreateParams, ResponseStreamEvent } from 'openai/resources/responses/responses'
import { describe, expect, it } from 'vitest'
import { startForwardProxy } from '../support/forward-proxy.ts'
import { startGateway } from '../support/gateway.ts'
import { chatChunks, chunk, startUpstream, type Answer } from '../support/upstream.ts'

// The official SDKs through the gateway, in front of an upstream that speaks Responses.

const stream = (name: string) => readFileSync(new URL(`../fixtures/responses/${name}.sse`, import.meta.url))

function sends(name: string): Answer {
  return (response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(stream(name))
}

async function start(answer: Answer) {
  const upstream = await startUpstream(answer)
  const gateway = await startGateway({
    providers: {
      upstream: {
        type: 'openai',
        baseUrl: `${upstream.url}/v1`,
        headers: {},
        includeUsage: true,
        apiKey: 'k',
        api: { 'gpt-4*': 'chat', '*': 'responses' },
      },
    },
    models: { model: { target: 'upstream/gpt-5', retries: 0 }, old: { target: 'upstream/gpt-4o', retries: 0 } },
  })
  const client = (url: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'k', maxRetries: 0 })
  return { upstream, gateway, direct: client(upstream.url), ours: client(gateway.url) }
}

async function listen(client: OpenAI, params: ResponseCreateParams) {
  const events: ResponseStreamEvent[] = []
  for await (const event of await client.responses.create({ ...params, stream: true })) events.push(event)
  const last = events.at(-1)
  if (last?.type !== 'response.completed') throw new Error(`ended with ${last?.type}`)
  return { events, response: last.response }
}

/** The ids of items that the gateway writes are its own. */
function itemsOf({ output }: Response): unknown[] {
  return output.map((item) => {
    const { id, ...fields } = item as unknown as Record<string, unknown>
    return fields.type === 'web_search_call' ? { id, ...fields } : fields
  })
}

const search = { type: 'web_search' as const }
const params = {
  model: 'model',
  input: 'Kittens?',
  tools: [search],
  tool_choice: search,
} as unknown as ResponseCreateParams

describe.each(['thoughts-and-calls', 'web-search'])('a Responses client and %s', (name) => {
  it('gets the items that it would get without the gateway, streamed and whole', async () => {
    const { direct, ours } = await start(sends(name))
    const there = await listen(direct, params)
    const here = await listen(ours, params)
    expect(itemsOf(here.response)).toEqual(itemsOf(there.response))
    expect(here.response.usage).toEqual(there.response.usage)
    expect(here.response.tools).toEqual(there.response.tools)
    expect(here.response.service_tier).toBe(there.response.service_tier)
    const whole = await ours.responses.create({ ...params, stream: false })
    expect(itemsOf(whole as Response)).toEqual(itemsOf(there.response))
  })

  it('gets each item in events of the same kinds', async () => {
    const { direct, ours } = await start(sends(name))
    const kinds = ({ events }: Awaited<ReturnType<typeof listen>>) =>
      [...new Set(events.map(({ type }) => type))].toSorted()
    expect(kinds(await listen(ours, params))).toEqual(kinds(await listen(direct, params)))
  })
})

describe('an upstream of the Responses API', () => {
  it('gets the request of a Responses client as it was, with the tools of its own', async () => {
    const { upstream, gateway } = await start(sends('web-search'))
    const body = {
      ...params,
      max_tool_calls: 2,
      reasoning: { effort: 'low', summary: 'auto' },
      include: ['web_search_call.action.sources'],
    }
    const response = await fetch(`${gateway.url}/v1/responses`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect(response.status).toBe(200)
    expect(response.headers.get('sluice-ignored')).toBeNull()
    expect(upstream.requests[0]).toMatchObject({ path: '/v1/responses', headers: { authorization: 'Bearer k' } })
    expect(upstream.requests[0]?.body).toEqual({
      ...body,
      model: 'gpt-5',
      input: [{ type: 'message', role: 'user', content: 'Kittens?' }],
      include: ['web_search_call.action.sources', 'reasoning.encrypted_content'],
      store: false,
      stream: true,
    })
  })

  it('gets the items of an earlier response back', async () => {
    const { upstream, ours } = await start(sends('web-search'))
    const { response } = await listen(ours, params)
    await listen(ours, { model: 'model', input: 'More!', previous_response_id: response.id })
    expect(upstream.requests[1]?.body.input).toMatchObject([
      { role: 'user', content: 'Kittens?' },
      { type: 'reasoning', encrypted_content: 'gAAAAABo-search==' },
      { type: 'web_search_call', id: 'ws_1' },
      { type: 'message', role: 'assistant', content: [{ text: 'One text.' }] },
      { type: 'message', role: 'assistant', content: [{ text: 'Kittens rule.' }] },
      { role: 'user', content: 'More!' },
    ])
    expect(upstream.requests[1]?.body).not.toHaveProperty('previous_response_id')
  })

  it('serves clients of Chat Completions, and gets their answers back', async () => {
    const { upstream, ours } = await start(sends('thoughts-and-calls'))
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Weather?' }]
    const completion = await ours.chat.completions.create({ model: 'model', messages, max_completion_tokens: 99 })
    const [choice] = completion.choices
    expect(choice).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: 'Looking it up.', reasoning_content: '**Weather first**\n\nThen the patch.' },
    })
    expect(completion.usage).toMatchObject({ completion_tokens_details: { reasoning_tokens: 40 } })
    const results = (choice?.message.tool_calls ?? []).map(({ id }) => ({
      role: 'tool' as const,
      tool_call_id: id,
      content: 'fine',
    }))
    await ours.chat.completions.create({ model: 'model', messages: [...messages, choice!.message, ...results] })
    expect(upstream.requests[0]?.body).toMatchObject({ max_output_tokens: 99 })
    expect(upstream.requests[1]?.body.input).toMatchObject([
      { role: 'user', content: 'Weather?' },
      { type: 'reasoning', summary: [], encrypted_content: 'gAAAAABo-first==' },
      { type: 'reasoning', summary: [], encrypted_content: 'gAAAAABo-second==' },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Looking it up.' }] },
      { type: 'function_call', call_id: 'call_w', name: 'get_weather', arguments: '{"city":"Köln"}' },
      { type: 'function_call', call_id: 'call_t' },
      { type: 'custom_tool_call', call_id: 'call_p', input: '*** Begin\n*** End' },
      { type: 'function_call_output', call_id: 'call_w', output: 'fine' },
      { type: 'function_call_output', call_id: 'call_t' },
      { type: 'custom_tool_call_output', call_id: 'call_p' },
    ])
  })

  it('serves clients of the Messages API', async () => {
    const { upstream, gateway } = await start(sends('thoughts-and-calls'))
    const client = new Anthropic({ baseURL: gateway.url, apiKey: 'k', maxRetries: 0 })
    const message = await client.messages.create({
      model: 'model',
      max_tokens: 50,
      system: 'Be brief.',
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Weather?' }] }],
      tools: [{ name: 'get_weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }],
    })
    expect(message.stop_reason).toBe('tool_use')
    expect(message.content.map(({ type }) => type)).toEqual(['thinking', 'text', 'tool_use', 'tool_use', 'tool_use'])
    expect(upstream.requests[0]?.body).toMatchObject({
      instructions: 'Be brief.',
      tools: [{ type: 'function', name: 'get_weather', strict: false }],
      max_output_tokens: 50,
      include: ['reasoning.encrypted_content'],
    })
  })

  it('is asked in Chat Completions for the other models', async () => {
    const { upstream, ours } = await start((response) => void response.writeHead(500).end())
    await expect(ours.responses.create({ model: 'old', input: 'Hi!' })).rejects.toThrow()
    expect(upstream.requests[0]?.path).toBe('/v1/chat/completions')
    const forced = ours.responses.create({ ...params, model: 'old' } as ResponseCreateParams)
    await expect(forced).rejects.toMatchObject({ status: 400, param: 'tool_choice' })
  })

  it('is asked again without the wish for hidden reasoning that its model refuses, and whole where it may not stream', async () => {
    const refusals = [
      { message: 'Encrypted content is not supported with this model.', param: 'include', code: null },
      {
        message: 'Your organization must be verified to stream this model.',
        param: 'stream',
        code: 'unsupported_value',
      },
    ]
    const whole = {
      status: 'completed',
      model: 'gpt-5',
      output: [{ type: 'message', content: [{ type: 'output_text', text: 'Hi.' }] }],
    }
    const { upstream, ours } = await start((response) => {
      const error = refusals.shift()
      response.writeHead(error ? 400 : 200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(error ? { error: { type: 'invalid_request_error', ...error } } : whole))
    })
    const { response } = await listen(ours, { model: 'model', input: 'Hi!' })
    expect(itemsOf(response)).toMatchObject([{ content: [{ text: 'Hi.' }] }])
    expect(upstream.requests.map(({ body: { include, stream: streams } }) => [include, streams])).toEqual([
      [['reasoning.encrypted_content'], true],
      [undefined, true],
      [undefined, false],
    ])
  })

  it('fails in its own words, before the stream and in it', async () => {
    const error = { message: 'No such model.', type: 'invalid_request_error', param: 'model', code: 'model_not_found' }
    const refused = await start(
      (response) => void response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ error })),
    )
    await expect(refused.ours.responses.create({ model: 'model', input: 'Hi!' })).rejects.toMatchObject({
      param: 'model',
      code: 'model_not_found',
    })
    const failed = { status: 'failed', error: { code: 'server_error', message: 'Broken.' }, output: [] }
    const text = `data: ${JSON.stringify({ type: 'response.failed', response: failed })}\n\n`
    const broken = await start(
      (response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text),
    )
    await expect(listen(broken.ours, { model: 'model', input: 'Hi!' })).rejects.toThrow('Broken.')
  })
})

it('OpenAI gets each request in the API in which it came, unless the configuration says which', async () => {
  const chat = chatChunks(chunk({ content: 'Hi!' }), chunk({}, { finish_reason: 'stop' }), '[DONE]')
  const upstream = await startUpstream((response, { path }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(path === '/v1/responses' ? stream('web-search') : chat)
  })
  const { port } = await startForwardProxy({ to: upstream.url })
  const { url } = await startGateway({
    providers: {
      openai: {
        type: 'openai',
        baseUrl: 'http://api.openai.com/v1',
        proxy: `http://127.0.0.1:${port}`,
        headers: {},
        includeUsage: true,
        apiKey: 'k',
      },
    },
    models: { model: { target: 'openai/gpt-5', retries: 0 } },
  })
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'k', maxRetries: 0 })
  const { response } = await listen(client, params)
  expect(response.output.map(({ type }) => type)).toContain('web_search_call')
  const answer = await client.chat.completions.create({ model: 'model', messages: [{ role: 'user', content: 'Hi!' }] })
  expect(answer.choices[0]?.message.content).toBe('Hi!')
  expect(upstream.requests.map(({ path }) => path)).toEqual(['/v1/responses', '/v1/chat/completions'])
  expect(upstream.requests[0]?.body.tools).toEqual([search])
})
