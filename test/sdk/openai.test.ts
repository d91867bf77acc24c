import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { bothWays, collect, meaningful, MODEL, type Outcome } from '../support/both-ways.ts'
import * as openai from '../support/openai-upstream.ts'

// The official package, with a Chat Completions server behind the gateway and without one.

type Params = Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, 'model' | 'stream'>

const messages: Params['messages'] = [
  { role: 'developer', content: 'Be brief.' },
  { role: 'user', content: 'Hi!', name: 'ada' },
]

const getWeather: OpenAI.ChatCompletionTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather in a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    strict: true,
  },
}
const getTime: OpenAI.ChatCompletionTool = { type: 'function', function: { name: 'get_time' } }

const toolMessages: Params['messages'] = [
  { role: 'user', content: 'What is the weather in Köln and in Bonn?' },
  {
    role: 'assistant',
    content: null,
    tool_calls: ['Köln', 'Bonn'].map((city) => ({
      id: `call_${city}`,
      type: 'function',
      function: { name: 'get_weather', arguments: JSON.stringify({ city }) },
    })),
  },
  { role: 'tool', tool_call_id: 'call_Köln', content: 'sunny' },
  { role: 'tool', tool_call_id: 'call_Bonn', content: [{ type: 'text', text: 'rainy' }] },
]

const imageMessages: Params['messages'] = [
  {
    role: 'user',
    content: [
      { type: 'text', text: 'What do they show?' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' } },
      { type: 'image_url', image_url: { url: 'https://example.com/cat.webp' } },
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
      { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
    ],
  },
]

const everythingElse = {
  temperature: 0.5,
  top_p: 0.9,
  seed: 7,
  user: 'user-1',
  safety_identifier: 'hash',
  prompt_cache_key: 'key',
  metadata: { run: '1' },
  store: true,
  service_tier: 'flex',
  verbosity: 'low',
  modalities: ['text'],
  logit_bias: { '50256': -100 },
  frequency_penalty: 0.1,
  presence_penalty: -0.1,
  prediction: { type: 'content', content: 'Grüße' },
  web_search_options: { search_context_size: 'low' },
  top_k: 40,
  yet_to_come: { nested: [1, null] },
} satisfies Omit<Params, 'messages'> & Record<string, unknown>

const cases: [what: string, completion: openai.Completion, params: Partial<Params>][] = [
  ['text', openai.text, {}],
  ['several tools, in parallel, with arguments in pieces', openai.tools, { tools: [getWeather, getTime] }],
  [
    'text and a tool that had to be called',
    openai.textAndTool,
    { tools: [getWeather], tool_choice: { type: 'function', function: { name: 'get_weather' } } },
  ],
  ['the results of tools', openai.text, { messages: toolMessages, tools: [getWeather], parallel_tool_calls: false }],
  ['reasoning', openai.reasoning, { reasoning_effort: 'high' }],
  ['stop sequences', openai.text, { stop: ['\n\n', 'Human:'] }],
  ['a limit of tokens', openai.cutOff, { max_completion_tokens: 5 }],
  ['a limit of tokens by its old name', openai.cutOff, { max_tokens: 5 }],
  ['images and files', openai.text, { messages: imageMessages }],
  ['log probabilities', openai.logprobs, { logprobs: true, top_logprobs: 2 }],
  [
    'a refusal',
    openai.refusal,
    { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' } } } },
  ],
  ['two choices', openai.twoChoices, { n: 2 }],
  ['every other parameter, known and unknown', openai.text, everythingElse],
]

function client(origin: string): OpenAI {
  return new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'caller-key', maxRetries: 0 })
}

/** The gateway asks for a stream with usage, whatever it is asked for. */
function parameters({ request }: Outcome<unknown>): unknown {
  const { stream: _, stream_options: _options, ...rest } = request.body
  return rest
}

describe.each(cases)('%s', (_, completion, more) => {
  const params = { model: MODEL, messages, ...more }

  it('is the same in one piece', async () => {
    const { straight, through } = await bothWays('openai', openai.answers(completion), (origin) =>
      client(origin).chat.completions.create(params),
    )
    expect(straight.error).toBeUndefined()
    expect(meaningful(through.result)).toEqual(meaningful(straight.result))
    expect(parameters(through)).toEqual(parameters(straight))
  })

  it.each([{}, { stream_options: { include_usage: true } }])('is the same as chunks, with %o', async (options) => {
    const { straight, through } = await bothWays('openai', openai.answers(completion), async (origin) => {
      const stream = await client(origin).chat.completions.create({ ...params, ...options, stream: true })
      return fold(await collect(stream))
    })
    expect(straight.error).toBeUndefined()
    expect(through.result).toEqual(straight.result)
    expect(parameters(through)).toEqual(parameters(straight))
  })

  it('is the same as the package puts a stream together', async () => {
    const { straight, through } = await bothWays('openai', openai.answers(completion), async (origin) => {
      const stream = client(origin).chat.completions.stream({ ...params, stream_options: { include_usage: true } })
      const told: unknown[] = []
      stream.on('content.done', (event) => told.push(event))
      stream.on('refusal.done', (event) => told.push(event))
      stream.on('tool_calls.function.arguments.done', (event) => told.push(event))
      const { obfuscation: _padding, ...final } = await stream.finalChatCompletion().then(copyOf)
      return { final, usage: await stream.totalUsage(), told: told.toSorted(byJson) }
    })
    expect(straight.error).toBeUndefined()
    expect(meaningful(through.result)).toEqual(meaningful(straight.result))
  })
})

it('the options of a stream are passed on, and usage is told to whom it was promised', async () => {
  const { straight, through } = await bothWays('openai', openai.answers(openai.text), async (origin) => {
    const stream_options = { include_usage: false, include_obfuscation: false }
    const stream = await client(origin).chat.completions.create({
      model: MODEL,
      messages,
      stream: true,
      stream_options,
    })
    return fold(await collect(stream))
  })
  expect(through.result).toEqual(straight.result)
  expect(through.request.body.stream_options).toEqual({ include_usage: true, include_obfuscation: false })
})

function copyOf(value: object): Record<string, unknown> {
  return { ...value }
}

/** Which of several choices ends first is not said by anything. */
function byJson(a: unknown, b: unknown): number {
  return JSON.stringify(a).localeCompare(JSON.stringify(b))
}

/**
 * What chunks say, however a text was cut: their heads, each choice's fields in the order in which they came with
 * adjacent pieces joined, and the usage of each. Padding is left out, and a null that is no `finish_reason` or `usage`.
 */
function fold(chunks: OpenAI.ChatCompletionChunk[]) {
  const choices: Record<number, [field: string, value: unknown][]> = {}
  const heads = new Set<string>()
  for (const { choices: parts, usage: _, ...head } of chunks) {
    const { obfuscation: _padding, ...fields } = copyOf(head)
    heads.add(JSON.stringify(Object.entries(fields).toSorted(byJson)))
    for (const { index, delta, finish_reason, logprobs } of parts) {
      const said = (choices[index] ??= [])
      for (const [field, value] of fieldsOf(delta)) {
        const last = said.at(-1)
        if (last?.[0] === field && typeof last[1] === 'string' && typeof value === 'string') last[1] += value
        else said.push([field, value])
      }
      if (logprobs) said.push(['logprobs', logprobs])
      if (finish_reason) said.push(['finish_reason', finish_reason])
    }
  }
  const usage = chunks.map((chunk) => chunk.usage)
  return {
    choices,
    heads: [...heads],
    nullUsage: usage.filter((each) => each === null).length > 0,
    usage: usage.at(-1),
  }
}

function fieldsOf({ tool_calls = [], ...delta }: OpenAI.ChatCompletionChunk.Choice.Delta): [string, unknown][] {
  const fields: [string, unknown][] = Object.entries(delta).filter(([, value]) => value !== null)
  for (const { index, id, type, function: { name, arguments: json } = {} } of tool_calls) {
    if (id !== undefined) fields.push([`call ${index}`, { id, type, name }])
    if (json) fields.push([`arguments ${index}`, json])
  }
  return fields
}
