import { describe, expect, it } from 'vitest'
import { open, type Reader } from '../support/reader.ts'
import type { Backend, Stage } from './protocol-backend.ts'
import type { Fields, ProtocolClient } from './protocol-client.ts'

const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const png = { media_type: 'image/png', data: 'iVBORw0KGgo=' }

/** A conversation with all that both sides know, in OpenAI's words … */
const asOpenAI = {
  messages: [
    { role: 'system', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is the weather in these?' },
        { type: 'image_url', image_url: { url: `data:${png.media_type};base64,${png.data}` } },
        { type: 'image_url', image_url: { url: 'https://example.com/map.webp' } },
      ],
    },
    {
      role: 'assistant',
      content: 'I look.',
      tool_calls: ['Köln', 'Bonn'].map((city, i) => ({
        id: `call_${i}`,
        type: 'function',
        function: { name: 'get_weather', arguments: JSON.stringify({ city }) },
      })),
    },
    { role: 'tool', tool_call_id: 'call_0', content: 'sunny' },
    {
      role: 'tool',
      tool_call_id: 'call_1',
      content: [
        { type: 'text', text: 'rain' },
        { type: 'text', text: 'y' },
      ],
    },
    { role: 'user', content: 'Where to?' },
  ],
  tools: [{ type: 'function', function: { name: 'get_weather', description: 'The weather.', parameters: schema } }],
  tool_choice: { type: 'function', function: { name: 'get_weather' } },
  parallel_tool_calls: false,
  max_tokens: 100,
  stop: ['END'],
  temperature: 0.5,
  user: 'user-1',
}

/** … and in Anthropic's. */
const asAnthropic = {
  system: [{ type: 'text', text: 'Be brief.' }],
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is the weather in these?' },
        { type: 'image', source: { type: 'base64', ...png } },
        { type: 'image', source: { type: 'url', url: 'https://example.com/map.webp' } },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'text', text: 'I look.' },
        ...['Köln', 'Bonn'].map((city, i) => ({
          type: 'tool_use',
          id: `call_${i}`,
          name: 'get_weather',
          input: { city },
        })),
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'call_0', content: 'sunny' },
        {
          type: 'tool_result',
          tool_use_id: 'call_1',
          content: [
            { type: 'text', text: 'rain' },
            { type: 'text', text: 'y' },
          ],
        },
        { type: 'text', text: 'Where to?' },
      ],
    },
  ],
  tools: [{ name: 'get_weather', description: 'The weather.', input_schema: schema }],
  tool_choice: { type: 'tool', name: 'get_weather', disable_parallel_tool_use: true },
  max_tokens: 100,
  stop_sequences: ['END'],
  temperature: 0.5,
  metadata: { user_id: 'user-1' },
}

/** … and in those of Responses, which has no stop sequences: they pass as they are. */
const asResponses = {
  instructions: 'Be brief.',
  input: [
    {
      role: 'user',
      content: [
        { type: 'input_text', text: 'What is the weather in these?' },
        { type: 'input_image', image_url: `data:${png.media_type};base64,${png.data}` },
        { type: 'input_image', image_url: 'https://example.com/map.webp' },
      ],
    },
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look.', annotations: [] }] },
    ...['Köln', 'Bonn'].map((city, i) => ({
      type: 'function_call',
      call_id: `call_${i}`,
      name: 'get_weather',
      arguments: JSON.stringify({ city }),
    })),
    { type: 'function_call_output', call_id: 'call_0', output: 'sunny' },
    {
      type: 'function_call_output',
      call_id: 'call_1',
      output: [
        { type: 'input_text', text: 'rain' },
        { type: 'input_text', text: 'y' },
      ],
    },
    { role: 'user', content: 'Where to?' },
  ],
  tools: [
    { type: 'function', name: 'get_weather', description: 'The weather.', parameters: schema, strict: null },
    { type: 'web_search' },
  ],
  tool_choice: { type: 'function', name: 'get_weather' },
  parallel_tool_calls: false,
  max_output_tokens: 100,
  stop: ['END'],
  temperature: 0.5,
  user: 'user-1',
  store: null,
  previous_response_id: null,
}

/** … and in those of the AI SDK's messages. */
const asUi = {
  ...asOpenAI,
  messages: [
    { role: 'system', parts: [{ type: 'text', text: 'Be brief.' }] },
    {
      role: 'user',
      parts: [
        { type: 'text', text: 'What is the weather in these?' },
        { type: 'file', mediaType: png.media_type, url: `data:${png.media_type};base64,${png.data}` },
        { type: 'file', mediaType: 'image/webp', url: 'https://example.com/map.webp' },
      ],
    },
    {
      role: 'assistant',
      parts: [
        { type: 'step-start' },
        { type: 'text', text: 'I look.' },
        ...['Köln', 'Bonn'].map((city, i) => ({
          type: 'tool-get_weather',
          toolCallId: `call_${i}`,
          state: 'output-available',
          input: { city },
          output: city === 'Köln' ? 'sunny' : 'rainy',
        })),
      ],
    },
    { role: 'user', parts: [{ type: 'text', text: 'Where to?' }] },
  ],
  tools: { get_weather: { description: 'The weather.', inputSchema: schema } },
}

/** A request with all of it, in the words of a protocol. */
const words: Record<ProtocolClient['name'], Fields> = {
  native: asOpenAI,
  'openai-chat': asOpenAI,
  'anthropic-messages': asAnthropic,
  'openai-responses': asResponses,
  'ui-messages': asUi,
}

/** What each kind of server is asked then. */
const asked = {
  openai: { ...asOpenAI, model: 'model', stream: true, stream_options: { include_usage: true } },
  anthropic: { ...asAnthropic, model: 'model', stream: true },
}

/** The output of a page's tool is any JSON, which a model reads as text. */
function askedOf(client: ProtocolClient['name'], backend: keyof typeof asked): unknown {
  if (client !== 'ui-messages') return asked[backend]
  return JSON.parse(JSON.stringify(asked[backend]).replace(/\[[^[]*"rain"[^\]]*\]/, '"rainy"'))
}

const user = (part: Fields) => ({ messages: [{ role: 'user', content: [part] }] })

/** What is wrong in any request of a protocol, whoever is to answer it. */
const wrong: Record<ProtocolClient['name'], [fields: Fields, path: string][]> = {
  native: [
    [{ temperature: 'hot' }, 'temperature'],
    [user({ type: 'text' }), 'messages[0].content[0].text'],
  ],
  'openai-chat': [
    [{ temperature: 'hot' }, 'temperature'],
    [{ tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name'],
  ],
  'anthropic-messages': [
    [{ temperature: 'hot' }, 'temperature'],
    [{ n: 2 }, 'n'],
    [{ max_tokens: null }, 'max_tokens'],
    [
      user({ type: 'image', source: { type: 'base64', data: 'iVBORw0KGgo=' } }),
      'messages[0].content[0].source.media_type',
    ],
    [{ tools: [{ name: 'get_weather' }] }, 'tools[0].input_schema'],
  ],
  'openai-responses': [
    [{ temperature: 'hot' }, 'temperature'],
    [{ input: 7 }, 'input'],
    [{ input: [] }, 'input'],
    [{ input: [{ role: 'user', content: [{ type: 'input_text' }] }] }, 'input[0].content[0].text'],
    [{ input: [{ type: 'function_call', call_id: 'a', name: 'f' }] }, 'input[0].arguments'],
    [{ tools: [{ type: 'function' }] }, 'tools[0].name'],
    [{ tools: [{ type: 'web_search' }], tool_choice: { type: 'web_search' } }, 'tool_choice'],
    [{ tools: [{ type: 'web_search' }], tool_choice: 'required' }, 'tool_choice'],
    [{ previous_response_id: 'resp_0' }, 'previous_response_id'],
    [{ conversation: 'conv_1' }, 'conversation'],
  ],
  'ui-messages': [
    [{ temperature: 'hot' }, 'temperature'],
    [{ n: 2 }, 'n'],
    [{ messages: [{ role: 'user', parts: [{ type: 'file', url: 'a' }] }] }, 'messages[0].parts[0].mediaType'],
    [{ tools: { get_weather: { inputSchema: 5 } } }, 'tools.get_weather.inputSchema'],
  ],
}

const hasOpenAIWords = (name: ProtocolClient['name']) => words[name] === asOpenAI

/** What a provider cannot express of what OpenAI's words can say. */
const inexpressible: Record<Backend['name'], [fields: Fields, path: string][]> = {
  mock: [[{ mock: { speed: 1 } }, 'mock.speed']],
  openai: [],
  anthropic: [
    [{ n: 2 }, 'n'],
    [{ logprobs: true }, 'logprobs'],
    [{ audio: { voice: 'alloy', format: 'wav' } }, 'audio'],
    [{ web_search_options: {} }, 'web_search_options'],
    [{ tools: asOpenAI.tools, tool_choice: { type: 'allowed_tools' } }, 'tool_choice'],
    [user({ type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } }), 'messages[0].content[0]'],
  ],
}

/** What every protocol makes of a request, for every provider. */
export function describeRequests(client: ProtocolClient, backend: Backend): void {
  async function ask(stage: Stage, fields: Fields): Promise<Reader> {
    const { headers, body } = client.request(false)
    return (
      await open(`${stage.gateway.url}${client.path}`, {
        method: 'POST',
        headers,
        body: { model: 'model', ...body, ...stage.play({ text: ['one'] }), ...fields },
      })
    ).end()
  }

  it('images, system prompts, tools, their calls and their results reach the provider in its words', async () => {
    const stage = await backend.start()
    const { status } = await ask(stage, words[client.name])
    expect(status).toBe(200)
    if (backend.name !== 'mock')
      expect((await stage.upstream?.request(0))?.body).toEqual(askedOf(client.name, backend.name))
  })

  const refused = [...wrong[client.name], ...(hasOpenAIWords(client.name) ? inexpressible[backend.name] : [])]

  describe('what is wrong or inexpressible is refused by its name before the provider hears of it:', () => {
    it.each(refused.map(([fields, path]) => ({ fields, path })))('$path', async ({ fields, path }) => {
      const stage = await backend.start()
      const reader = await ask(stage, fields)
      expect(reader.status).toBe(400)
      expect(client.readError(reader.json as Fields).field).toBe(path)
      expect(stage.upstream?.requests ?? []).toEqual([])
    })
  })
}
