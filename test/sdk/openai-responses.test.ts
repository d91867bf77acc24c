import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import * as anthropicUpstream from '../support/anthropic-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import * as openaiUpstream from '../support/openai-upstream.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { startUpstream, type Answer } from '../support/upstream.ts'

// The official package, `responses` of which speak to whatever is behind the gateway.

type Wire = 'openai' | 'anthropic'

async function start(wire: Wire, answer: Answer) {
  const upstream = await startUpstream(answer)
  const baseUrl = wire === 'openai' ? `${upstream.url}/v1` : upstream.url
  const provider = { baseUrl, headers: {}, apiKey: 'upstream-key' }
  const gateway = await startGateway({
    providers: {
      upstream:
        wire === 'openai'
          ? { type: wire, includeUsage: true, ...provider }
          : { type: wire, maxTokens: 4096, ...provider },
    },
    models: { model: { target: 'upstream/model', retries: 0 } },
  })
  return { upstream, gateway, client: clientOf(gateway.url) }
}

function clientOf(url: string): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: 'any', maxRetries: 0 })
}

async function startScripted() {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({}, { providers: [provider] })
  return { provider, gateway, client: clientOf(gateway.url) }
}

async function collect<T>(events: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const event of events) all.push(event)
  return all
}

const TOOL: OpenAI.Responses.FunctionTool = {
  type: 'function',
  name: 'get_weather',
  description: 'The weather in a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  strict: null,
}

const upstreams: [Wire, { text: Answer; tools: Answer }][] = [
  [
    'openai',
    { text: openaiUpstream.answers(openaiUpstream.text), tools: openaiUpstream.answers(openaiUpstream.tools) },
  ],
  ['anthropic', { text: anthropicUpstream.answers('text'), tools: anthropicUpstream.answers('tools') }],
]

describe.each(upstreams)('responses over an upstream of the kind %s', (wire, answers) => {
  it('create, whole and streamed, say the same', async () => {
    const { client } = await start(wire, answers.text)
    const whole = await client.responses.create({ model: 'model', input: 'Hi!' })
    expect(whole).toMatchObject({ object: 'response', status: 'completed', error: null })
    expect(whole.output_text.length).toBeGreaterThan(5)
    const events = await collect(await client.responses.create({ model: 'model', input: 'Hi!', stream: true }))
    const types = events.map(({ type }) => type)
    expect(types.slice(0, 4)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
    ])
    expect(types.at(-1)).toBe('response.completed')
    const last = events.at(-1)
    if (last?.type !== 'response.completed') throw new Error('not completed')
    expect(last.response.output.map(withoutId)).toEqual(whole.output.map(withoutId))
    expect(last.response.usage).toEqual(whole.usage)
    const numbers = events.map(({ sequence_number: number }) => number)
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  })

  it('the stream helper adds them up', async () => {
    const { client } = await start(wire, answers.tools)
    const stream = client.responses.stream({ model: 'model', input: 'Hi!', tools: [TOOL] })
    const pieces: string[] = []
    stream.on('response.function_call_arguments.delta', ({ delta }) => void pieces.push(delta))
    const response = await stream.finalResponse()
    const calls = response.output.filter((item) => item.type === 'function_call')
    expect(calls.length).toBeGreaterThan(0)
    expect(calls.map((call) => call.arguments).join('')).toBe(pieces.join(''))
    for (const call of calls) expect(JSON.parse(call.arguments)).toBeTypeOf('object')
  })

  it('a second turn, by its items and by its id, has the calls and their results', async () => {
    const { client, upstream } = await start(wire, answers.tools)
    const first = await client.responses.create({ model: 'model', input: 'Weather?', tools: [TOOL] })
    const outputs = first.output
      .filter((item) => item.type === 'function_call')
      .map(({ call_id }) => ({ type: 'function_call_output' as const, call_id, output: 'sunny' }))
    await client.responses.create({
      model: 'model',
      tools: [TOOL],
      input: [
        { role: 'user', content: 'Weather?' },
        ...(first.output as OpenAI.Responses.ResponseInputItem[]),
        ...outputs,
      ],
    })
    await client.responses.create({ model: 'model', tools: [TOOL], previous_response_id: first.id, input: outputs })
    const references = first.output.map(({ id = '' }) => ({ type: 'item_reference' as const, id }))
    await client.responses.create({
      model: 'model',
      tools: [TOOL],
      input: [{ role: 'user', content: 'Weather?' }, ...references, ...outputs],
    })
    const [, byItems, byId, byReference] = upstream.requests.map(({ body }) => body.messages)
    expect(JSON.stringify(byItems)).toContain('sunny')
    expect(byId).toEqual(byItems)
    expect(byReference).toEqual(byItems)
  })
})

function withoutId<T extends { id?: string | undefined }>(item: T): Omit<T, 'id'> {
  const { id: _, ...rest } = item
  return rest
}

it('Claude gets back its signed thoughts, from the items of its answer', async () => {
  const { client, upstream } = await start('anthropic', anthropicUpstream.answers('thinking'))
  const first = await client.responses.create({ model: 'model', input: 'Think.' })
  const [reasoning] = first.output
  expect(reasoning).toMatchObject({ type: 'reasoning', encrypted_content: expect.stringMatching(/./) })
  await client.responses.create({ model: 'model', previous_response_id: first.id, input: 'Go on.' })
  const messages = upstream.requests[1]?.body.messages as { role: string; content: { type: string }[] }[]
  expect(messages[1]?.content[0]).toMatchObject({ type: 'thinking', signature: expect.stringMatching(/./) })
})

it('a coding agent gets its tools to Claude, and its custom tools back as such', async () => {
  const { client, upstream } = await start('anthropic', anthropicUpstream.answers('tools'))
  const body = {
    model: 'model',
    instructions: 'You are a coding agent.',
    input: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Go.' }] }],
    tools: [
      TOOL,
      { type: 'custom', name: 'apply_patch' },
      { type: 'web_search' },
      { type: 'namespace', name: 'n', tools: [] },
    ],
    tool_choice: 'auto',
    parallel_tool_calls: false,
    reasoning: { effort: 'medium', summary: 'auto' },
    store: false,
    include: ['reasoning.encrypted_content'],
    prompt_cache_key: 'key',
    client_metadata: { a: 'b' },
  }
  const { data, response } = await client.responses
    .create(body as unknown as OpenAI.Responses.ResponseCreateParamsNonStreaming)
    .withResponse()
  expect(data.status).toBe('completed')
  expect(response.headers.get('sluice-ignored')).toBe('tools.web_search, tools.namespace, prompt_cache_key')
  const sent = upstream.requests[0]?.body as { tools: { name: string }[]; system: unknown }
  expect(sent.tools.map(({ name }) => name)).toEqual(['get_weather', 'apply_patch'])
  expect(JSON.stringify(sent)).not.toMatch(/client_metadata|include|store/)
})

it('parse fills in what the schema says', async () => {
  const { client, upstream } = await start(
    'openai',
    openaiUpstream.answers(openaiUpstream.says(['{"city":', '"Bonn"}'])),
  )
  const schema = {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  }
  const parsed = await client.responses.parse({
    model: 'model',
    input: 'Where?',
    text: { format: { type: 'json_schema', name: 'place', schema, strict: true } },
  })
  expect(JSON.parse(parsed.output_text)).toEqual({ city: 'Bonn' })
  expect(upstream.requests[0]?.body.response_format).toEqual({
    type: 'json_schema',
    json_schema: { name: 'place', schema, strict: true },
  })
})

describe('a response in the background', () => {
  it('is created, left, resumed at every event, read by two at once, and polled', async () => {
    const { client, provider, gateway } = await startScripted()
    const created = await client.responses.create({ model: 'scripted', input: 'Hi!', background: true })
    expect(created.status).toBe('queued')
    const run = await provider.nextRun()
    run.text('one', ' two')
    const two = [1, 2].map(() => client.responses.retrieve(created.id, { stream: true }))
    await expect.poll(async () => (await client.responses.retrieve(created.id)).output_text).toBe('one two')
    expect((await client.responses.retrieve(created.id)).status).toBe('in_progress')
    run.text(' three')
    run.done()
    const [first = [], second = []] = await Promise.all(two.map(async (events) => collect(await events)))
    expect(text(first)).toBe('one two three')
    expect(text(second)).toBe('one two three')
    const whole = await client.responses.retrieve(created.id)
    expect(whole).toMatchObject({ status: 'completed', background: true, output_text: 'one two three' })
    for (const [i, { sequence_number: starting_after }] of first.entries()) {
      const rest = await collect(await client.responses.retrieve(created.id, { stream: true, starting_after }))
      expect(text([...first.slice(0, i + 1), ...rest])).toBe('one two three')
      expect(rest.at(-1)?.type).toBe(i === first.length - 1 ? undefined : 'response.completed')
      expect(typesButDeltas(rest)).toEqual(typesButDeltas(first.slice(i + 1)))
    }
    expect(gateway.services.generations.size).toBe(0)
  })

  it('runs on without readers, and ends when it is cancelled', async () => {
    const { client, provider } = await startScripted()
    const stream = await client.responses.create({ model: 'scripted', input: 'Hi!', background: true, stream: true })
    const iterator = stream[Symbol.asyncIterator]()
    const begun = await iterator.next()
    if (begun.done || begun.value.type !== 'response.created') throw new Error('not created')
    const { id } = begun.value.response
    const run = await provider.nextRun()
    stream.controller.abort()
    run.text('one')
    await expect.poll(async () => (await client.responses.retrieve(id)).output_text).toBe('one')
    const reader = await client.responses.retrieve(id, { stream: true })
    const cancelled = await client.responses.cancel(id)
    expect(cancelled).toMatchObject({ id, status: 'cancelled', output: [{ content: [{ text: 'one' }] }] })
    await run.aborted
    await expect(collect(reader)).rejects.toThrow('The stream was cancelled.')
    expect((await client.responses.retrieve(id)).status).toBe('cancelled')
  })

  it('is failed when its upstream fails', async () => {
    const { client, provider } = await startScripted()
    const { id } = await client.responses.create({ model: 'scripted', input: 'Hi!', background: true })
    const run = await provider.nextRun()
    run.text('one')
    run.end()
    await expect.poll(async () => (await client.responses.retrieve(id)).status).toBe('failed')
    expect((await client.responses.retrieve(id)).error).toMatchObject({ code: 'upstream_truncated' })
  })
})

describe('what is kept', () => {
  it('lists its input, and is gone once it is deleted', async () => {
    const { client } = await start('openai', openaiUpstream.answers(openaiUpstream.text))
    const first = await client.responses.create({ model: 'model', input: 'Hi!' })
    const items = await collect(client.responses.inputItems.list(first.id))
    expect(items).toMatchObject([{ type: 'message', role: 'user', content: 'Hi!' }])
    await client.responses.delete(first.id)
    await expect(client.responses.retrieve(first.id)).rejects.toBeInstanceOf(OpenAI.NotFoundError)
    const next = client.responses.create({ model: 'model', input: 'Go on.', previous_response_id: first.id })
    await expect(next).rejects.toMatchObject({
      status: 400,
      code: 'previous_response_not_found',
      param: 'previous_response_id',
    })
  })

  it('is counted as memory of the stream, and not as part of its answer', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ streamMaxBytes: 8192 }, { providers: [provider] })
    const client = clientOf(gateway.url)
    const input = 'x'.repeat(100_000)
    const created = await client.responses.create({ model: 'scripted', input, background: true })
    const run = await provider.nextRun()
    run.text('one')
    run.done()
    await expect.poll(async () => (await client.responses.retrieve(created.id)).status).toBe('completed')
    expect(gateway.services.budget.held('finished')).toBeGreaterThan(200_000)
    await client.responses.delete(created.id)
    await expect.poll(() => gateway.services.budget.held('finished')).toBe(0)
  })

  it('is nothing with `store: false`', async () => {
    const { client } = await start('openai', openaiUpstream.answers(openaiUpstream.text))
    const { id } = await client.responses.create({ model: 'model', input: 'Hi!', store: false })
    expect(await collect(client.responses.inputItems.list(id))).toEqual([])
    const next = client.responses.create({ model: 'model', input: 'Go on.', previous_response_id: id })
    await expect(next).rejects.toMatchObject({ code: 'previous_response_not_found' })
  })

  it('a response of nobody is not found', async () => {
    const { client } = await startScripted()
    await expect(client.responses.retrieve('resp_none')).rejects.toBeInstanceOf(OpenAI.NotFoundError)
    await expect(client.responses.retrieve('chatcmpl-1')).rejects.toBeInstanceOf(OpenAI.NotFoundError)
  })
})

type Event = OpenAI.Responses.ResponseStreamEvent

function text(events: readonly Event[]): string {
  return events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('')
}

function typesButDeltas(events: readonly Event[]): string[] {
  return events.map(({ type }) => type).filter((type) => !type.endsWith('.delta'))
}
