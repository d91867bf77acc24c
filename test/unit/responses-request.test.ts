import { describe, expect, it } from 'vitest'
import { ORIGINAL } from '../../src/chat-request.ts'
import { SluiceError } from '../../src/errors.ts'
import type { EarlierStreams, ParsedRequest } from '../../src/protocols/protocol.ts'
import { refersTo } from '../../src/protocols/responses/conversation.ts'
import { parseResponse } from '../../src/protocols/responses/request.ts'
import { toResponse } from '../../src/protocols/responses/response.ts'

type Fields = Record<string, unknown>

function parse(fields: Fields, earlier?: EarlierStreams): ParsedRequest {
  return parseResponse({ model: 'm', input: 'Hi!', ...fields }, {}, earlier)
}

const messagesOf = (input: unknown) => parse({ input }).input.messages

function faultOf(fields: Fields): string | undefined {
  try {
    parse(fields)
  } catch (error) {
    if (error instanceof SluiceError) return error.faults?.[0]?.path
    throw error
  }
  throw new Error('nothing wrong')
}

describe('the input', () => {
  it('is short for one message, and follows the instructions', () => {
    expect(parse({ instructions: 'Be brief.' }).input.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi!' },
    ])
  })

  it('has messages of every role, with or without their type, and every kind of part', () => {
    const parts = [
      { type: 'input_text', text: 'These:' },
      { type: 'input_image', image_url: 'https://a.example/b.png', detail: 'low', file_id: null },
      { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' },
      { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
    ]
    expect(
      messagesOf([
        { role: 'developer', content: 'Be brief.' },
        { type: 'message', role: 'user', content: parts },
        { role: 'assistant', content: [{ type: 'output_text', text: 'No.', annotations: [], logprobs: null }] },
        { role: 'user', content: [{ type: 'input_text', text: 'Why?' }] },
      ]),
    ).toEqual([
      { role: 'developer', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'These:' },
          { type: 'image_url', image_url: { url: 'https://a.example/b.png', detail: 'low' } },
          { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
          { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
        ],
      },
      expect.objectContaining({ role: 'assistant', content: 'No.' }),
      { role: 'user', content: 'Why?' },
    ])
  })

  it('has calls, which are one answer with what is around them, and their results', () => {
    expect(
      messagesOf([
        { role: 'user', content: 'Go.' },
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm.' }] },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look.' }] },
        { type: 'function_call', id: 'fc_1', call_id: 'a', name: 'f', arguments: '{}', status: 'completed' },
        { type: 'custom_tool_call', call_id: 'b', name: 'patch', input: 'x' },
        { type: 'function_call_output', call_id: 'a', output: 'sunny' },
        { type: 'custom_tool_call_output', call_id: 'b', output: [{ type: 'input_text', text: 'done' }] },
      ]).slice(1),
    ).toEqual([
      {
        role: 'assistant',
        content: 'I look.',
        reasoning_content: 'Hm.',
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } },
          { id: 'b', type: 'custom', custom: { name: 'patch', input: 'x' } },
        ],
      },
      { role: 'tool', tool_call_id: 'a', content: 'sunny' },
      { role: 'tool', tool_call_id: 'b', content: 'done' },
    ])
  })

  it('without parts is an empty text: some upstreams refuse an empty list', () => {
    expect(
      messagesOf([
        { role: 'user', content: [] },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: [] },
      ]),
    ).toMatchObject([{ content: '' }, {}, { role: 'tool', content: '' }])
  })

  it("loses the thoughts of OpenAI's own models, which nobody else can read", () => {
    const [, answer] = messagesOf([
      { role: 'user', content: 'Go.' },
      { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAA' },
      { role: 'assistant', content: 'No.' },
    ])
    expect(answer).toEqual({ role: 'assistant', content: 'No.' })
  })

  it("loses the items of OpenAI's own tools, and names them", () => {
    const { input, ignored } = parse({
      input: [
        { role: 'user', content: 'Go.' },
        { type: 'web_search_call', id: 'ws_1' },
      ],
    })
    expect(input.messages).toHaveLength(1)
    expect(ignored).toEqual(['input.web_search_call'])
  })

  it('may refer to items of earlier responses, and continue one', () => {
    const key = 'a'.repeat(32)
    const call = { type: 'function_call', id: `fc_${key}_0`, call_id: 'c', name: 'f', arguments: '{}' }
    const earlier = new Map([
      [`str_${key}`, { kept: '[{"role":"user","content":"Go."}]', snapshot: { output: [call] } }],
    ])
    const output = { type: 'function_call_output', call_id: 'c', output: 'x' }
    const body = { input: [{ role: 'user', content: 'Go.' }, { type: 'item_reference', id: `fc_${key}_0` }, output] }
    const following = { input: [output], previous_response_id: `resp_${key}` }
    expect([refersTo(body), refersTo(following)]).toEqual([[`str_${key}`], [`str_${key}`]])
    expect(parse(body, earlier).input.messages).toEqual(parse(following, earlier).input.messages)
    expect(JSON.parse(parse(following, earlier).kept ?? '')).toEqual([{ role: 'user', content: 'Go.' }, call, output])
    expect(faultOf(body)).toBe('input[1].id')
    expect(faultOf(following)).toBe('previous_response_id')
  })
})

describe('references', () => {
  const key = 'a'.repeat(32)
  const item = (index: number) => ({
    id: `msg_${key}_${index}`,
    type: 'message',
    role: 'assistant',
    content: [{ type: 'output_text', text: `${index}` }],
  })
  const earlier: EarlierStreams = new Map([
    [`str_${key}`, { kept: '[]', snapshot: { output: Array.from({ length: 10 }, (_, i) => item(i)) } }],
  ])

  it('insert no item of the response that the conversation continues', () => {
    const body = { previous_response_id: `resp_${key}`, input: [{ type: 'item_reference', id: item(7).id }] }
    expect(() => parse(body, earlier)).toThrow('input[0].id: duplicate item')
  })

  it('insert an item once: a small body could otherwise become thousands of copies of a long answer', () => {
    const { id } = item(7)
    expect(() => parse({ input: [{ id }, { type: 'item_reference', id }] }, earlier)).toThrow(
      'input[1].id: duplicate item: each item may be referred to once',
    )
    expect(parse({ input: [{ id }, { id: item(8).id }] }, earlier).input.messages).toMatchObject([{ content: '78' }])
  })

  it('to thousands of items do not each search all items', () => {
    let reads = 0
    const output = Array.from({ length: 1000 }, (_, i) => ({
      ...item(i),
      get id() {
        reads += 1
        return item(i).id
      },
    }))
    const input = output.map((_, i) => ({ id: item(i).id }))
    parse({ input }, new Map([[`str_${key}`, { kept: '[]', snapshot: { output } }]]))
    expect(reads).toBeLessThan(10 * output.length)
  })

  it('to more than a thousand responses are refused, not called missing', () => {
    const ids = Array.from({ length: 1001 }, (_, i) => `msg_k${i}_0`)
    const many: EarlierStreams = new Map(
      ids.map((id, i) => [`str_k${i}`, { kept: '[]', snapshot: { output: [{ ...item(0), id }] } }]),
    )
    const input = ids.map((id) => ({ id }))
    expect(refersTo({ input, previous_response_id: 'resp_a' })).toHaveLength(1001)
    expect(() => parse({ input: input.slice(1) }, many)).not.toThrow()
    expect(() => parse({ input }, many)).toThrow('input[1000].id: refers to more than 1000 responses')
  })
})

describe('tools', () => {
  const f = { type: 'function', name: 'f', description: null, parameters: null, strict: null }
  const patch = { type: 'custom', name: 'patch', format: { type: 'grammar', syntax: 'lark', definition: 'start: "a"' } }
  const search = { type: 'web_search' }

  it('are functions and custom tools; those that OpenAI runs are left out and named', () => {
    const { input, ignored } = parse({ tools: [f, patch, search, { type: 'namespace', name: 'n', tools: [] }] })
    expect(input.tools).toEqual([
      { type: 'function', function: { name: 'f' } },
      {
        type: 'custom',
        custom: { name: 'patch', format: { type: 'grammar', grammar: { syntax: 'lark', definition: 'start: "a"' } } },
      },
    ])
    expect(ignored).toEqual(['tools.web_search', 'tools.namespace'])
  })

  it.each<[choice: unknown, tool_choice: unknown, names: string[]]>([
    ['auto', 'auto', ['f', 'patch']],
    ['required', 'required', ['f', 'patch']],
    [null, undefined, ['f', 'patch']],
    [{ type: 'function', name: 'f' }, { type: 'function', function: { name: 'f' } }, ['f', 'patch']],
    [{ type: 'custom', name: 'patch' }, { type: 'custom', custom: { name: 'patch' } }, ['f', 'patch']],
    [{ type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'f' }] }, 'required', ['f']],
  ])('are chosen: %j', (given, tool_choice, names) => {
    const { input } = parse({ tools: [f, patch, search], tool_choice: given })
    expect(input.tool_choice).toEqual(tool_choice)
    expect(input.tools).toHaveLength(names.length)
  })

  it('a choice without a tool is none', () => {
    const { input } = parse({ tools: [search], tool_choice: 'auto', parallel_tool_calls: true })
    expect(Object.keys(input)).toEqual(['model', 'messages'])
  })

  it.each([search, { type: 'mcp', server_label: 's' }])(
    'that OpenAI runs can be forced only where they run: %j',
    (choice) => {
      const { input } = parse({ tools: [f, search], tool_choice: choice })
      expect(input[ORIGINAL]?.refusal?.faults?.[0]?.path).toBe('tool_choice')
      expect(input[ORIGINAL]?.body).toMatchObject({ tools: [f, search], tool_choice: choice })
    },
  )
})

describe('parameters', () => {
  it('have their counterparts in a chat request', () => {
    const schema = { type: 'object' }
    const { input } = parse({
      text: { format: { type: 'json_schema', name: 'n', schema, strict: true }, verbosity: 'low' },
      reasoning: { effort: 'high', summary: 'auto' },
      max_output_tokens: 9,
      temperature: 0,
      service_tier: 'flex',
    })
    const { [ORIGINAL]: _, ...chat } = input
    expect(chat).toEqual({
      model: 'm',
      messages: [{ role: 'user', content: 'Hi!' }],
      response_format: { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } },
      verbosity: 'low',
      reasoning_effort: 'high',
      max_tokens: 9,
      temperature: 0,
      service_tier: 'flex',
    })
  })

  it('that are null are absent, and those about the response itself are not sent on', () => {
    const nothing = [
      'instructions',
      'tools',
      'text',
      'reasoning',
      'temperature',
      'previous_response_id',
      'conversation',
    ]
    const { input, ignored } = parse({
      ...Object.fromEntries(nothing.map((name) => [name, null])),
      store: false,
      include: ['reasoning.encrypted_content'],
      metadata: { a: 'b', client_metadata: {} },
      truncation: 'auto',
      context_management: [],
      stream_options: { include_obfuscation: false },
    })
    expect(Object.keys(input)).toEqual(['model', 'messages'])
    expect(ignored).toEqual(['context_management', 'truncation'])
  })

  it.each<[fields: Fields, mode: string, detached: boolean]>([
    [{}, 'whole', false],
    [{ stream: true }, 'stream', false],
    [{ background: true }, 'background', true],
    [{ background: true, stream: true }, 'stream', true],
  ])('%j: the mode is %s', (fields, mode, detached) => {
    expect(parse(fields)).toMatchObject({ mode, detached })
  })

  it('are repeated by the response, unless they are large', () => {
    const echo = (fields: Fields): unknown => JSON.parse(parse(fields).labels?.request ?? '')
    const small = { temperature: 0.5, metadata: { a: 'b' } }
    expect(echo({ ...small, instructions: 'Be brief.' })).toMatchObject({
      ...small,
      instructions: 'Be brief.',
      tools: [],
    })
    expect(echo({ ...small, instructions: 'x'.repeat(100_000) })).toEqual({ model: 'm', ...small, tools: [] })
  })

  it("that are named as a field of the response's own do not take its place", () => {
    const own = { id: 'resp_x', object: 'x', created_at: 1, status: 'failed', error: {}, output: [1], usage: {} }
    const { labels } = parse({
      ...own,
      incomplete_details: {},
      completed_at: 1,
      output_text: 'x',
      prompt_cache_key: 'k',
    })
    const info = { id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0, labels }
    const response = toResponse(info, 'in_progress')
    expect(response).toMatchObject({
      id: 'resp_1',
      object: 'response',
      created_at: 0,
      status: 'in_progress',
      error: null,
      incomplete_details: null,
      output: [],
      usage: null,
      prompt_cache_key: 'k',
    })
    expect(Object.keys(response)).not.toContain('output_text')
    expect(Object.keys(response)).not.toContain('completed_at')
  })

  it('with names that no header can hold are named by their place', () => {
    expect(parse({ tools: [{ type: 'a\nb' }, { type: 'ü' }, { type: 'mcp' }] }).ignored).toEqual(['tools', 'tools.mcp'])
  })
})
