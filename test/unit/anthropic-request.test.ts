import { describe, expect, it } from 'vitest'
import { convertRequest } from '../../providers/anthropic/request.ts'
import { chatRequestSchema } from '../../src/chat-request.ts'
import { SluiceError } from '../../src/errors.ts'

function bodyOf(fields: object): Record<string, unknown> {
  const request = chatRequestSchema.parse({ messages: [{ role: 'user', content: 'hi' }], ...fields })
  return convertRequest({ ...request, model: 'claude' }, 8192).body
}

function messagesOf(...messages: unknown[]): unknown[] {
  return bodyOf({ messages }).messages as unknown[]
}

function faultOf(fields: object): unknown {
  try {
    bodyOf(fields)
  } catch (error) {
    return error instanceof SluiceError && error.code === 'invalid_request' ? error.faults?.[0] : error
  }
  return 'was not refused'
}

const BEYOND = 'cannot be expressed in the Anthropic Messages API'
const text = (words: string) => ({ type: 'text', text: words })
/** Too deep for `JSON.stringify`. */
const NESTED = '['.repeat(100_000) + ']'.repeat(100_000)
const user = { role: 'user', content: 'hi' }

describe('parameters', () => {
  it('have a limit of tokens, a stream, and nothing that is not Anthropic’s', () => {
    expect(bodyOf({ stream: false, stream_options: { include_usage: true }, mock: { tokens: 1 } })).toEqual({
      model: 'claude',
      max_tokens: 8192,
      messages: [{ role: 'user', content: [text('hi')] }],
      stream: true,
    })
  })

  it.each<[what: string, fields: object, body: object]>([
    ['max_tokens', { max_tokens: 5 }, { max_tokens: 5 }],
    ['max_completion_tokens, before max_tokens', { max_completion_tokens: 7, max_tokens: 5 }, { max_tokens: 7 }],
    ['temperature, top_p', { temperature: 0.5, top_p: 0.9 }, { temperature: 0.5, top_p: 0.9 }],
    ['stop, one', { stop: 'END' }, { stop_sequences: ['END'] }],
    ['stop, several', { stop: ['a', 'b'] }, { stop_sequences: ['a', 'b'] }],
    ['user', { user: 'u1' }, { metadata: { user_id: 'u1' } }],
    ['metadata.user_id', { metadata: { user_id: 'u1' } }, { metadata: { user_id: 'u1' } }],
    [
      'metadata beside user, less what Anthropic refuses',
      { user: 'u1', metadata: { a: 'b' } },
      { metadata: { user_id: 'u1' } },
    ],
    ['service_tier of Anthropic’s', { service_tier: 'standard_only' }, { service_tier: 'standard_only' }],
    ['reasoning_effort: none', { reasoning_effort: 'none' }, { thinking: { type: 'disabled' } }],
    [
      'any JSON object',
      { response_format: { type: 'json_object' } },
      { system: [text('Answer with one JSON object and nothing else: no words around it, no code fence.')] },
    ],
    [
      'functions of before tools',
      { functions: [{ name: 'f', description: 'F', parameters: { type: 'object' } }], function_call: { name: 'f' } },
      {
        tools: [{ name: 'f', description: 'F', input_schema: { type: 'object' } }],
        tool_choice: { type: 'tool', name: 'f', disable_parallel_tool_use: true },
      },
    ],
    ['reasoning_effort', { reasoning_effort: 'high' }, { output_config: { effort: 'high' } }],
    [
      'a JSON schema',
      {
        response_format: { type: 'json_schema', json_schema: { name: 'a', strict: true, schema: { type: 'object' } } },
      },
      { output_config: { format: { type: 'json_schema', schema: { type: 'object' } } } },
    ],
    [
      'a JSON schema that is described, beside what is there already',
      {
        output_config: { task_budget: { total: 1 } },
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'a', description: 'D', schema: { type: 'object' } },
        },
      },
      {
        output_config: {
          task_budget: { total: 1 },
          format: { type: 'json_schema', schema: { description: 'D', type: 'object' } },
        },
      },
    ],
    ['unknown parameters', { top_k: 4, thinking: { type: 'adaptive' } }, { top_k: 4, thinking: { type: 'adaptive' } }],
  ])('%s', (_, fields, body) => {
    expect(bodyOf(fields)).toEqual({ ...bodyOf({}), ...body })
  })

  it.each<[what: string, fields: object, choice: object | undefined]>([
    ['auto', { tool_choice: 'auto' }, { type: 'auto' }],
    ['none', { tool_choice: 'none', parallel_tool_calls: false }, { type: 'none' }],
    ['required', { tool_choice: 'required' }, { type: 'any' }],
    ['a custom tool', { tool_choice: { type: 'custom', custom: { name: 'sql' } } }, { type: 'tool', name: 'sql' }],
    [
      'a function',
      { tool_choice: { type: 'function', function: { name: 'f' } }, parallel_tool_calls: false },
      { type: 'tool', name: 'f', disable_parallel_tool_use: true },
    ],
    ['one call at a time', { parallel_tool_calls: false }, { type: 'auto', disable_parallel_tool_use: true }],
    ['nothing, without tools', { tools: [], tool_choice: 'auto', parallel_tool_calls: false }, undefined],
  ])('choose a tool: %s', (_, fields, choice) => {
    const tools = [{ type: 'function', function: { name: 'f' } }]
    expect(bodyOf({ tools, ...fields }).tool_choice).toEqual(choice)
  })

  it('without tools are those without a choice of tools', () => {
    expect(bodyOf({ tools: [], tool_choice: 'auto', parallel_tool_calls: false })).toEqual(bodyOf({}))
    expect(bodyOf({ tool_choice: 'none' })).toEqual(bodyOf({}))
    const mcp_servers = [{ type: 'url', name: 'a', url: 'https://example.com' }]
    expect(bodyOf({ mcp_servers, tool_choice: 'auto' })).toMatchObject({ tool_choice: { type: 'auto' } })
  })

  it('leave room for an answer after the budget of thoughts', () => {
    const thinking = { type: 'enabled', budget_tokens: 20_000 }
    expect(bodyOf({ thinking }).max_tokens).toBe(28_192)
    expect(bodyOf({ thinking, max_tokens: 30_000 }).max_tokens).toBe(30_000)
  })

  it('null within functions, files and schemas is nothing', () => {
    expect(bodyOf({ functions: [{ name: 'f', description: null, parameters: null }] }).tools).toEqual([
      { name: 'f', input_schema: { type: 'object' } },
    ])
    const json_schema = { name: 'a', description: null, strict: null, schema: { type: 'object' } }
    expect(bodyOf({ response_format: { type: 'json_schema', json_schema } })).toMatchObject({
      output_config: { format: { type: 'json_schema', schema: { type: 'object' } } },
    })
    const file = { file_id: null, filename: null, file_data: 'data:application/pdf;base64,JVBERi0=' }
    expect(messagesOf({ role: 'user', content: [{ type: 'file', file }] })).toEqual([
      {
        role: 'user',
        content: [{ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' } }],
      },
    ])
  })

  it('that ask for what happens anyway are left out', () => {
    const asksNothing = {
      n: 1,
      frequency_penalty: 0,
      presence_penalty: 0,
      logprobs: false,
      top_logprobs: null,
      logit_bias: {},
      seed: null,
      temperature: null,
      stop: null,
      max_tokens: null,
      reasoning_effort: null,
      metadata: null,
      response_format: { type: 'text' },
      parallel_tool_calls: true,
      store: false,
      modalities: ['text'],
      audio: null,
    }
    expect(bodyOf(asksNothing)).toEqual(bodyOf({}))
  })

  it.each<[path: string, fields: object]>([
    ['n', { n: 2 }],
    ['logprobs', { logprobs: true }],
    ['top_logprobs', { top_logprobs: 3 }],
    ['audio', { audio: { voice: 'alloy' } }],
    ['modalities', { modalities: ['text', 'audio'] }],
    ['web_search_options', { web_search_options: {} }],
    ['functions', { functions: JSON.parse(NESTED) }],
    ['functions', { functions: [{ description: 'no name' }] }],
    ['response_format.json_schema', { response_format: { type: 'json_schema', json_schema: { name: 'a' } } }],
    [
      'tool_choice',
      {
        tools: [{ type: 'function', function: { name: 'f' } }],
        tool_choice: { type: 'allowed_tools', allowed_tools: {} },
      },
    ],
    ['tools[0].custom.name', { tools: [{ type: 'custom', custom: {} }] }],
    ['tools[0]', { tools: [{ type: 'function' }] }],
  ])('that cannot be expressed are refused by name: %s', (path, fields) => {
    expect(faultOf(fields)).toEqual({ path, message: BEYOND })
  })
})

it.each<[name: string, fields: object]>([
  ['seed', { seed: 7 }],
  ['frequency_penalty', { frequency_penalty: 0.5 }],
  ['presence_penalty', { presence_penalty: -1 }],
  ['logit_bias', { logit_bias: { 50256: -100 } }],
  ['prediction', { prediction: { type: 'content', content: 'x' } }],
  ['prompt_cache_key', { prompt_cache_key: 'k' }],
  ['prompt_cache_retention', { prompt_cache_retention: '24h' }],
  ['safety_identifier', { safety_identifier: 'u' }],
  ['verbosity', { verbosity: 'low' }],
  ['service_tier', { service_tier: 'flex' }],
  ['store', { store: true }],
  ['store', { store: JSON.parse(NESTED) }],
  ['reasoning_effort', { reasoning_effort: 'minimal' }],
  ['metadata', { metadata: { session: 's1' } }],
  ['moderation', { moderation: { model: 'x' } }],
  ['stop', { stop: '\n' }],
])('advice that Anthropic cannot take is left out and named: %s', (name, fields) => {
  const request = { ...chatRequestSchema.parse({ messages: [user], ...fields }), model: 'claude' }
  const { body, ignored } = convertRequest(request, 8192)
  expect(ignored).toEqual([name])
  expect(body).toEqual(bodyOf({}))
})

it('a temperature above Anthropic’s scale becomes its highest, and names of speakers are left out; both are named', () => {
  const messages = [
    { ...user, name: 'Ann' },
    { role: 'assistant', content: 'a', name: 'bot' },
    { ...user, name: 'Bob' },
  ]
  const request = { ...chatRequestSchema.parse({ messages, temperature: 1.5 }), model: 'claude' }
  const { body, ignored } = convertRequest(request, 8192)
  expect(ignored).toEqual(['messages.name', 'temperature'])
  expect(body).toMatchObject({ temperature: 1, messages: [{ role: 'user' }, { role: 'assistant' }, { role: 'user' }] })
  expect(JSON.stringify(body)).not.toContain('"name"')
})

it.each([
  ['claude-haiku-4-5-20251001', false],
  ['claude-sonnet-4-5', false],
  ['claude-sonnet-4-20250514', false],
  ['claude-opus-4-1', false],
  ['claude-3-7-sonnet-latest', false],
  ['claude-opus-4-5-20251101', true],
  ['claude-sonnet-4-6', true],
  ['claude-opus-4-8', true],
  ['some-other-model', true],
])('an effort goes to the models that know it: %s, %s', (model, isKnown) => {
  const request = { ...chatRequestSchema.parse({ messages: [user], reasoning_effort: 'high' }), model }
  const { body, ignored } = convertRequest(request, 8192)
  expect('output_config' in body).toBe(isKnown)
  expect(ignored).toEqual(isKnown ? [] : ['reasoning_effort'])
})

it('tools with free text as their input get it in a field', () => {
  const format = { type: 'grammar', grammar: { syntax: 'lark', definition: 'start: "x"' } }
  const tools = [{ type: 'custom', custom: { name: 'sql', description: 'Runs', format } }]
  expect(bodyOf({ tools }).tools).toEqual([
    {
      name: 'sql',
      description: 'Runs\n\nThe input matches this grammar (lark):\nstart: "x"',
      input_schema: { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] },
    },
  ])
  const call = { id: 'a', type: 'custom', custom: { name: 'sql', input: 'SELECT 1' } }
  expect(messagesOf(user, { role: 'assistant', tool_calls: [call] })).toMatchObject([
    {},
    { content: [{ type: 'tool_use', id: 'a', name: 'sql', input: { input: 'SELECT 1' } }] },
  ])
})

it('calls and results of functions of before tools are matched in their order', () => {
  const call = (name: string) => ({ role: 'assistant', function_call: { name, arguments: '{"x":1}' } })
  const result = (name: string, content: string | null) => ({ role: 'function', name, content })
  expect(messagesOf(user, call('f'), result('f', '1'), call('f'), result('f', null))).toEqual([
    { role: 'user', content: [text('hi')] },
    { role: 'assistant', content: [{ type: 'tool_use', id: 'call_1', name: 'f', input: { x: 1 } }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: '1' }] },
    { role: 'assistant', content: [{ type: 'tool_use', id: 'call_3', name: 'f', input: { x: 1 } }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_3' }] },
  ])
})

it('tools are functions with an input schema, or Anthropic’s own as they are', () => {
  const parameters = { type: 'object', properties: { q: { type: 'string' } }, required: ['q'] }
  const server = { type: 'web_search_20250305', name: 'web_search', max_uses: 3 }
  const tools = [
    { type: 'function', function: { name: 'find', description: 'Finds', parameters, strict: true }, cache_control: {} },
    { type: 'function', function: { name: 'now' } },
    server,
  ]
  expect(bodyOf({ tools }).tools).toEqual([
    { name: 'find', description: 'Finds', input_schema: parameters, strict: true, cache_control: {} },
    { name: 'now', input_schema: { type: 'object' } },
    server,
  ])
})

describe('messages', () => {
  it('that lead with instructions have them as the system prompt', () => {
    const messages = [{ role: 'system', content: 'A' }, { role: 'developer', content: [text('B')] }, user]
    expect(bodyOf({ messages })).toMatchObject({
      system: [text('A'), text('B')],
      messages: [{ role: 'user', content: [text('hi')] }],
    })
  })

  const later = [
    { role: 'system', content: 'From now on' },
    { role: 'developer', content: 'in verse' },
  ]
  const asked = { role: 'user', content: [text('hi')] }
  const answered = { role: 'assistant', content: [text('a')] }
  const said = { role: 'assistant', content: 'a' }

  function turnsOf(model: string, given: object[]): unknown {
    const request = { ...chatRequestSchema.parse({ messages: given }), model }
    const { system, messages: turns } = convertRequest(request, 1).body
    return { ...(system !== undefined && { system }), messages: turns }
  }

  it('keep later instructions as one turn, after the user’s, if the model takes them', () => {
    const instructed = { role: 'system', content: [text('From now on'), text('in verse')] }
    expect(turnsOf('claude-opus-4-8', [user, ...later])).toEqual({ messages: [asked, instructed] })
    expect(turnsOf('claude-opus-4-8', [user, said, ...later, user])).toEqual({
      messages: [asked, answered, asked, instructed],
    })
  })

  it('bring later instructions to models that refuse them: before an answer to the system prompt, else as text', () => {
    expect(turnsOf('claude-sonnet-4-5', [user, ...later])).toEqual({
      system: [text('From now on'), text('in verse')],
      messages: [asked],
    })
    const instructions = [text('<system>\nFrom now on\n</system>'), text('<system>\nin verse\n</system>')]
    expect(turnsOf('claude-sonnet-4-5', [user, said, ...later, user])).toEqual({
      messages: [asked, answered, { role: 'user', content: [...instructions, text('hi')] }],
    })
    expect(turnsOf('claude-opus-4-8', [user, said, ...later])).toEqual({
      messages: [asked, answered, { role: 'user', content: instructions }],
    })
  })

  it.each(['claude-sonnet-4-5', 'claude-opus-4-8'])('never part a call from its result: %s', (model) => {
    const tool_calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }]
    const result = { role: 'tool', tool_call_id: 'a', content: '1' }
    const { messages } = turnsOf(model, [user, { role: 'assistant', tool_calls }, ...later, user, result]) as {
      messages: { role: string; content: { type: string }[] }[]
    }
    expect(messages[1]).toMatchObject({ role: 'assistant', content: [{ type: 'tool_use' }] })
    expect(messages[2]).toMatchObject({ role: 'user' })
    expect(messages[2]!.content[0]).toMatchObject({ type: 'tool_result' })
  })

  it('of instructions alone are the user’s, and a conversation begins with the user', () => {
    expect(turnsOf('claude', [{ role: 'system', content: 'hi' }])).toEqual({ messages: [asked] })
    expect(turnsOf('claude', [said, user])).toEqual({
      messages: [{ role: 'user', content: [text('Hello.')] }, answered, asked],
    })
  })

  it('that are blank are left out, in every place', () => {
    const own = { anthropic: { content: [text(' '), { type: 'tool_use', id: 'a', name: 'f', input: {} }] } }
    const tool_calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }]
    const messages = [
      { role: 'system', content: [text('\n'), text('x')] },
      { role: 'user', content: [text(' '), text('hi')] },
      { role: 'assistant', content: ' ', tool_calls, carried: own },
      { role: 'tool', tool_call_id: 'a', content: [text('\t')] },
      { role: 'user', content: '\n' },
    ]
    expect(turnsOf('claude', messages)).toEqual({
      system: [text('x')],
      messages: [
        asked,
        { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a' }] },
      ],
    })
  })

  it('keep fields that are not known to themselves', () => {
    const until = { role: 'system', content: 'In verse', clear_at: 'next_user_message' }
    expect(messagesOf(user, until, said)).toMatchObject([
      {},
      { role: 'system', content: [text('In verse')], clear_at: 'next_user_message' },
      {},
    ])
    expect(bodyOf({ messages: [until, user] })).not.toHaveProperty('system')
  })

  it('bring images and PDFs, as data and by address', () => {
    const parts = [
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0=', detail: 'low' } },
      { type: 'image_url', image_url: { url: 'https://example.com/a.jpg' }, cache_control: { type: 'ephemeral' } },
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
      { type: 'file', file: { file_id: 'file_1' } },
      { type: 'search_result', source: 'x', title: 'y', content: [] },
    ]
    expect(messagesOf({ role: 'user', content: parts })).toEqual([
      {
        role: 'user',
        content: [
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0=' } },
          {
            type: 'image',
            source: { type: 'url', url: 'https://example.com/a.jpg' },
            cache_control: { type: 'ephemeral' },
          },
          {
            type: 'document',
            title: 'a.pdf',
            source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' },
          },
          { type: 'document', source: { type: 'file', file_id: 'file_1' } },
          parts[4],
        ],
      },
    ])
  })

  it.each([
    ['data:image/png;base64,AA==', 'image/png', 'AA=='],
    ['DATA:image/png;name=a.png;BASE64,AA==', 'image/png', 'AA=='],
    ['data:;base64,AA==', '', 'AA=='],
    ['data:image/png;base64,AA;base64,==', 'image/png', 'AA;base64,=='],
  ])('bring the image of a data URL: %s', (url, media_type, data) => {
    expect(messagesOf({ role: 'user', content: [{ type: 'image_url', image_url: { url } }] })).toMatchObject([
      { content: [{ type: 'image', source: { type: 'base64', media_type, data } }] },
    ])
  })

  it.each([
    ['no comma', 'data:image/png;base64'],
    ['no base64', 'data:image/png,base64,AA=='],
    ['base64 as the type', 'data:base64,AA=='],
    ['millions of parameters', `data:${';'.repeat(6_000_000)}`],
    ['millions of parameters and a text', `data:${';'.repeat(6_000_000)},AA==`],
  ])('bring no image of a data URL with %s', (_, url) => {
    expect(faultOf({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] })).toEqual({
      path: 'messages[0].content[0].image_url.url',
      message: 'is not a data URL in base64',
    })
  })

  it('bring calls, and the results of several in the turn that follows', () => {
    const call = (id: string, json: string) => ({ id, type: 'function', function: { name: 'f', arguments: json } })
    const messages = [
      user,
      {
        role: 'assistant',
        content: '',
        refusal: null,
        annotations: [],
        tool_calls: [call('a', '{"x":1}'), call('b', '')],
      },
      { role: 'tool', tool_call_id: 'a', content: 'one', name: 'f' },
      { role: 'tool', tool_call_id: 'b', content: [text('two')], is_error: true },
      { role: 'user', content: 'and?' },
    ]
    expect(messagesOf(...messages)).toEqual([
      { role: 'user', content: [text('hi')] },
      {
        role: 'assistant',
        content: [
          { type: 'tool_use', id: 'a', name: 'f', input: { x: 1 } },
          { type: 'tool_use', id: 'b', name: 'f', input: {} },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'a', content: 'one' },
          { type: 'tool_result', tool_use_id: 'b', content: [text('two')], is_error: true },
          text('and?'),
        ],
      },
    ])
  })

  it('bring back thoughts that Anthropic has signed, before the words, and no others', () => {
    const thinking_blocks = [
      { type: 'thinking', thinking: 'Hm', signature: 'sig' },
      { type: 'redacted_thinking', data: 'x' },
    ]
    const answer = { role: 'assistant', content: 'Yes', reasoning_content: 'Hm', thinking_blocks }
    expect(messagesOf(user, answer, user, { role: 'assistant', content: null, refusal: 'No' }, user)).toMatchObject([
      {},
      { content: [...thinking_blocks, text('Yes')] },
      {},
      { content: [text('No')] },
      {},
    ])
  })

  const thought = { type: 'thinking', thinking: 'Hm', signature: 's' }
  const redacted = { type: 'redacted_thinking', data: 'x' }
  const format = 'anthropic-claude-v1'
  const use = { type: 'tool_use', id: 'a', name: 'f', input: {} }
  const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }

  it.each<[what: string, answer: object, blocks: object[]]>([
    [
      'as reasoning_details',
      {
        content: 'a',
        reasoning_content: 'Hm',
        reasoning_details: [
          { type: 'reasoning.text', text: 'Hm', signature: 's', format, index: 0 },
          { type: 'reasoning.encrypted', data: 'x', format, index: 1 },
          { type: 'reasoning.encrypted', data: 'y', format: 'openai-responses-v1' },
        ],
      },
      [thought, redacted, text('a')],
    ],
    [
      'as the pieces of reasoning_details',
      {
        content: null,
        tool_calls: [call],
        reasoning_details: [
          { type: 'reasoning.text', text: 'H', format, index: 0 },
          { type: 'reasoning.text', text: 'm', format, index: 0 },
          { type: 'reasoning.text', signature: 's', format, index: 0 },
        ],
      },
      [thought, use],
    ],
    [
      'in a snapshot, with a signature',
      { content: 'a', reasoning: 'Hm', carried: { anthropic: { signature: 's', redacted_thinking: 'x' } } },
      [thought, redacted, text('a')],
    ],
    [
      'in a snapshot, with blocks in their order',
      { content: 'a', tool_calls: [call], carried: { anthropic: { content: [thought, use, thought, text('a')] } } },
      [thought, use, thought, text('a')],
    ],
    [
      'unless the text has been changed since',
      { content: 'b', carried: { anthropic: { content: [thought, text('a')], signature: 3 } } },
      [text('b')],
    ],
    [
      'not of another vendor',
      {
        content: 'a',
        reasoning: 'Hm',
        carried: { openai: { delta: { x: 1 } }, unknown: { y: 2 } },
        tool_calls: [{ ...call, extra_content: { google: {} }, carried: { openai: { call: {} } }, extra: {} }],
      },
      [text('a'), use],
    ],
    ['not without a signature', { content: 'a', thinking_blocks: [{ ...thought, signature: '' }] }, [text('a')]],
  ])('bring back thoughts of Anthropic’s: %s', (_, answer, blocks) => {
    expect(messagesOf(user, { role: 'assistant', ...answer })).toEqual([
      { role: 'user', content: [text('hi')] },
      { role: 'assistant', content: blocks },
    ])
  })

  it('bring calls of upstreams whose ids Anthropic refuses', () => {
    const messages = [
      { role: 'assistant', tool_calls: [{ ...call, id: 'functions.f:0' }] },
      { role: 'tool', tool_call_id: 'functions.f:0', content: '1' },
    ]
    expect(messagesOf(user, ...messages).slice(1)).toEqual([
      { role: 'assistant', content: [{ ...use, id: 'functions_f_0' }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'functions_f_0', content: '1' }] },
    ])
  })

  it('give each call an id of its own, and its results the same', () => {
    const called = (...ids: string[]) => [
      { role: 'assistant', tool_calls: ids.map((id) => ({ ...call, id })) },
      ...ids.map((id) => ({ role: 'tool', tool_call_id: id, content: id })),
    ]
    const turns = messagesOf(
      user,
      ...called('f.a:0', 'f_a.0', 'f_a_0'),
      ...called('call_0'),
      ...called('call_0', 'call_0'),
      ...called('ünï'),
    ) as { content: { type: string; id?: string; tool_use_id?: string }[] }[]
    const blocks = turns.flatMap(({ content }) => content)
    const calls = blocks.filter(({ type }) => type === 'tool_use').map(({ id }) => id)
    const results = blocks.filter(({ type }) => type === 'tool_result').map(({ tool_use_id }) => tool_use_id)
    expect(calls).toEqual(['f_a_0', 'f_a_0_2', 'f_a_0_3', 'call_0', 'call_0_2', 'call_0_3', '_n_'])
    expect(results).toEqual(calls)
  })

  it.each(['[1]', '{"x":', NESTED])('quote arguments that are no object, such as those that were cut off', (json) => {
    const cut = { ...call, function: { name: 'f', arguments: json } }
    expect(messagesOf(user, { role: 'assistant', tool_calls: [cut] })).toMatchObject([
      {},
      { content: [{ ...use, input: { input: json } }] },
    ])
  })

  it.each(['', ' ', 'null'])('take no arguments for none: %j', (json) => {
    const empty = { ...call, function: { name: 'f', arguments: json } }
    expect(messagesOf(user, { role: 'assistant', tool_calls: [empty] })).toMatchObject([{}, { content: [use] }])
  })

  it('bring unsigned thoughts back to servers of other models alone', () => {
    const messages = [user, { role: 'assistant', content: 'a', reasoning_content: 'Hm' }]
    const thoughts = (model: string, server: 'anthropic' | 'other') => {
      const { messages: turns } = convertRequest({ ...chatRequestSchema.parse({ messages }), model }, 1, server).body
      return (turns as { content: object[] }[])[1]!.content
    }
    expect(thoughts('qwen', 'other')).toEqual([{ type: 'thinking', thinking: 'Hm', signature: '' }, text('a')])
    expect(thoughts('qwen', 'anthropic')).toEqual([text('a')])
    expect(thoughts('claude-opus-4-8', 'other')).toEqual([text('a')])
  })

  it('bring no thoughts of Mistral’s, which are parts', () => {
    const content = [{ type: 'thinking', thinking: [text('Hm')] }, text('a')]
    expect(messagesOf(user, { role: 'assistant', content })).toEqual([asked, answered])
  })

  it('that say nothing are left out, and neighbours are one turn', () => {
    expect(messagesOf(user, { role: 'assistant', content: '' }, user)).toEqual([
      { role: 'user', content: [text('hi'), text('hi')] },
    ])
  })

  it('do not change what they are made of', () => {
    const request = chatRequestSchema.parse({ messages: [user, { role: 'user', content: [text('x')] }] })
    const before = structuredClone(request)
    convertRequest({ ...request, model: 'm' }, 1)
    expect(request).toEqual(before)
  })

  it.each<[path: string, message: string, messages: object[]]>([
    ['messages[0].content[1]', BEYOND, [{ role: 'user', content: [text('a'), { type: 'input_audio' }] }]],
    ['messages[0].content[0]', BEYOND, [{ role: 'user', content: [{ type: 'video_url' }] }]],
    [
      'messages[0].content[0].image_url.url',
      'is not a data URL in base64',
      [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/svg+xml,%3Csvg' } }] }],
    ],
    [
      'messages[0].content[0].file.file_data',
      BEYOND,
      [{ role: 'user', content: [{ type: 'file', file: { file_data: 'data:text/csv;base64,eA==' } }] }],
    ],
    ['messages[1].role', BEYOND, [user, { role: 'function', name: 'f', content: 'x' }]],
    ['messages[1].audio', BEYOND, [user, { role: 'assistant', audio: { id: 'a' } }]],
    ['messages[1].function_call', BEYOND, [user, { role: 'assistant', function_call: { name: 'f' } }]],
    ['messages[1].tool_call_id', 'is required', [user, { role: 'tool', content: 'x' }]],
    ['messages[0].tool_calls[0]', BEYOND, [{ role: 'assistant', tool_calls: [{ id: 'a', type: 'custom' }] }]],
    ['messages[0].thinking_blocks', 'expected an array of blocks', [{ role: 'assistant', thinking_blocks: 'x' }]],
  ])('that cannot be expressed are refused by path: %s', (path, message, messages) => {
    expect(faultOf({ messages })).toEqual({ path, message })
  })
})
