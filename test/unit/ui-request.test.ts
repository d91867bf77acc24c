import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '../../src/errors.ts'
import { parseUiChat } from '../../src/protocols/ui/request.ts'

const hello = { id: '1', role: 'user', parts: [{ type: 'text', text: 'Hi!' }] }

function parse(body: object, headers = {}) {
  return parseUiChat({ id: 'chat-1', messages: [hello], trigger: 'submit-message', ...body }, headers)
}

function messagesOf(...messages: object[]) {
  return parse({ messages }).input.messages
}

function tool(fields: object) {
  return {
    type: 'tool-find',
    toolCallId: 'call_a',
    state: 'output-available',
    input: { q: 'x' },
    output: 'y',
    ...fields,
  }
}

const call = { id: 'call_a', type: 'function', function: { name: 'find', arguments: '{"q":"x"}' } }

describe('a request', () => {
  it('is the chat, and the parameters that the page adds', () => {
    const parsed = parse({ messageId: 'm', model: 'smart', system: 'Be brief.', temperature: 0, maxOutputTokens: 9 })
    expect(parsed).toEqual({
      mode: 'stream',
      alias: 'ui-chat:chat-1',
      labels: {},
      input: {
        model: 'smart',
        temperature: 0,
        max_tokens: 9,
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Hi!' },
        ],
      },
    })
  })

  it('continues the answer that it ends with', () => {
    const answer = { id: 'msg_9', role: 'assistant', parts: [tool({})] }
    expect(parse({ messages: [hello, answer] }).labels).toEqual({ message_id: 'msg_9' })
  })

  it('needs no chat, and may ask for the whole message', () => {
    const parsed = parse({ id: undefined }, { accept: 'application/json' })
    expect(parsed).toMatchObject({ mode: 'whole' })
    expect(parsed).not.toHaveProperty('alias')
  })

  it.each<[what: string, body: object, path: string]>([
    ['no message', { messages: [] }, 'messages'],
    ['messages of another protocol', { messages: [{ role: 'user', content: 'Hi!' }] }, 'messages[0].parts'],
    ['an unknown role', { messages: [{ ...hello, role: 'tool' }] }, 'messages[0].role'],
    ['a text without text', { messages: [{ ...hello, parts: [{ type: 'text' }] }] }, 'messages[0].parts[0].text'],
    [
      'a file without a type',
      { messages: [{ ...hello, parts: [{ type: 'file', url: 'a' }] }] },
      'messages[0].parts[0].mediaType',
    ],
    [
      'a call without an id',
      { messages: [{ ...hello, parts: [{ type: 'tool-a', state: 'x' }] }] },
      'messages[0].parts[0].toolCallId',
    ],
    ['a long name of the chat', { id: 'x'.repeat(257) }, 'id'],
    ['several answers', { n: 2 }, 'n'],
    ['a wrong parameter', { temperature: 'hot' }, 'temperature'],
    ['tools that are none', { tools: 5 }, 'tools'],
    ['a tool without a name', { tools: [{ inputSchema: {} }] }, 'tools[0].name'],
    ['a schema that is none', { tools: { find: { inputSchema: 'x' } } }, 'tools.find.inputSchema'],
  ])('with %s is refused, and told where', (_, body, path) => {
    let thrown: unknown
    try {
      parse(body)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(SluiceError)
    expect((thrown as SluiceError).faults?.[0]?.path).toBe(path)
  })
})

describe('tools', () => {
  const schema = { type: 'object', properties: {} }
  const ours = { type: 'function', function: { name: 'find', description: 'Finds.', parameters: schema } }

  it.each<[what: string, tools: unknown]>([
    ['by their names', { find: { description: 'Finds.', inputSchema: schema } }],
    ['in a list', [{ name: 'find', description: 'Finds.', inputSchema: schema }]],
    [
      'with the schema as it is wrapped by the SDK',
      { find: { description: 'Finds.', inputSchema: { jsonSchema: schema } } },
    ],
    ['of the Responses API', [{ type: 'function', name: 'find', description: 'Finds.', parameters: schema }]],
    ['of Chat Completions', [ours]],
  ])('%s are the same', (_, tools) => {
    expect(parse({ tools }).input.tools).toEqual([ours])
  })

  it('of the provider stay as they are', () => {
    const tools = [{ type: 'web_search_20250305', name: 'web_search', max_uses: 2 }]
    expect(parse({ tools, toolChoice: { type: 'tool', toolName: 'web_search' } }).input).toMatchObject({
      tools,
      tool_choice: { type: 'function', function: { name: 'web_search' } },
    })
  })
})

describe('parts', () => {
  it('of several steps are several messages, with the results after their calls', () => {
    const parts = [
      { type: 'step-start' },
      { type: 'text', text: 'Let me look.' },
      tool({}),
      {
        type: 'dynamic-tool',
        toolName: 'sum',
        toolCallId: 'call_b',
        state: 'output-error',
        errorText: 'No.',
        input: {},
      },
      { type: 'step-start' },
      { type: 'text', text: 'Found.' },
    ]
    expect(messagesOf(hello, { role: 'assistant', parts })).toEqual([
      { role: 'user', content: 'Hi!' },
      {
        role: 'assistant',
        content: 'Let me look.',
        tool_calls: [call, { id: 'call_b', type: 'function', function: { name: 'sum', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'call_a', content: 'y' },
      { role: 'tool', tool_call_id: 'call_b', content: 'No.', is_error: true },
      { role: 'assistant', content: 'Found.' },
    ])
  })

  it.each<[what: string, fields: object]>([
    ['is still streamed', { state: 'input-streaming', input: undefined, output: undefined }],
    ['has no result', { state: 'input-available', output: undefined }],
    ['has a preliminary result', { preliminary: true }],
    ['waits for approval', { state: 'approval-requested', approval: { id: '1' }, output: undefined }],
  ])('a call that %s is left out', (_, fields) => {
    expect(messagesOf(hello, { role: 'assistant', parts: [tool(fields)] }, hello)).toHaveLength(2)
  })

  it('a call whose input was no JSON comes back as text, with the error', () => {
    const part = tool({ state: 'output-error', input: undefined, rawInput: '{"q', errorText: 'Not JSON.' })
    expect(messagesOf(hello, { role: 'assistant', parts: [part] }).slice(1)).toMatchObject([
      { tool_calls: [{ function: { arguments: '{"input":"{\\"q"}' } }] },
      { role: 'tool', content: 'Not JSON.', is_error: true },
    ])
  })

  it('a denied call says why', () => {
    const part = tool({ state: 'output-denied', approval: { id: '1', approved: false, reason: 'Too dear.' } })
    expect(messagesOf(hello, { role: 'assistant', parts: [part] })[2]).toMatchObject({ content: 'Too dear.' })
  })

  it('thoughts between calls keep their order for Claude', () => {
    const thought = (text: string) => ({ type: 'reasoning', text, providerMetadata: { anthropic: { signature: 's' } } })
    const parts = [thought('a'), tool({}), thought('b'), { type: 'text', text: 'c' }]
    const [, answer] = messagesOf(hello, { role: 'assistant', parts })
    expect(answer?.carried).toEqual({
      anthropic: {
        content: [
          { type: 'thinking', thinking: 'a', signature: 's' },
          { type: 'tool_use', id: 'call_a', name: 'find', input: { q: 'x' } },
          { type: 'thinking', thinking: 'b', signature: 's' },
          { type: 'text', text: 'c' },
        ],
      },
    })
  })

  it('unsigned thoughts are reasoning', () => {
    const parts = [
      { type: 'reasoning', text: 'Hm.' },
      { type: 'text', text: 'Yes.' },
    ]
    expect(messagesOf(hello, { role: 'assistant', parts })[1]).toEqual({
      role: 'assistant',
      content: 'Yes.',
      reasoning_content: 'Hm.',
    })
  })

  it('of tools that the provider ran are for that provider alone', () => {
    const parts = [
      tool({ type: 'dynamic-tool', toolName: 'web_search', toolCallId: 'srv_1', output: [], providerExecuted: true }),
      { type: 'text', text: 'Found.' },
      { type: 'file', mediaType: 'image/png', url: 'data:image/png;base64,AA==' },
    ]
    expect(messagesOf(hello, { role: 'assistant', parts }).slice(1)).toEqual([
      {
        role: 'assistant',
        content: 'Found.',
        carried: {
          anthropic: {
            content: [
              { type: 'server_tool_use', id: 'srv_1', name: 'web_search', input: { q: 'x' } },
              { type: 'web_search_tool_result', tool_use_id: 'srv_1', content: [] },
              { type: 'text', text: 'Found.' },
            ],
          },
        },
      },
    ])
  })

  it.each(['tool_search_tool_regex', 'tool_search_tool_bm25'])('of a search by %s have its type of result', (name) => {
    const output = { type: 'tool_search_tool_search_result', tool_references: [] }
    const part = tool({ type: 'dynamic-tool', toolName: name, output, providerExecuted: true })
    const [, answer] = messagesOf(hello, { role: 'assistant', parts: [part] })
    expect(answer?.carried).toMatchObject({
      anthropic: {
        content: [
          { type: 'server_tool_use', name },
          { type: 'tool_search_tool_result', tool_use_id: 'call_a', content: output },
        ],
      },
    })
  })

  it.each<[what: string, fields: object]>([
    ['that failed', { state: 'output-error', errorText: 'No.' }],
    ['whose input was cut off', { state: 'output-error', input: undefined, rawInput: '{"q', errorText: 'Not JSON.' }],
    ['that the page denied', { state: 'output-denied' }],
    ['whose result has no content', { output: null }],
  ])('of a provider tool %s have a result with content', (_, fields) => {
    const part = tool({ toolCallId: 'srv_1', output: undefined, providerExecuted: true, ...fields })
    const [, answer] = messagesOf(hello, {
      role: 'assistant',
      parts: [{ ...part, type: 'dynamic-tool', toolName: 'web_search' }],
    })
    expect(answer?.carried).toMatchObject({
      anthropic: {
        content: [
          { type: 'server_tool_use', id: 'srv_1' },
          {
            type: 'web_search_tool_result',
            tool_use_id: 'srv_1',
            content: { type: 'web_search_tool_result_error', error_code: 'unavailable' },
          },
        ],
      },
    })
  })

  it('for the page alone are left out', () => {
    const parts = [
      { type: 'source-url', sourceId: '1', url: 'https://a.example' },
      { type: 'data-weather', data: { sky: 'clear' } },
      { type: 'text', text: 'Yes.' },
    ]
    expect(messagesOf({ role: 'system', parts }, hello)[0]).toEqual({ role: 'system', content: 'Yes.' })
  })

  it.each<[mediaType: string, url: string, part: object]>([
    [
      'image/png',
      'data:image/png;base64,AA==',
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } },
    ],
    ['image/png', 'https://a.example/a.png', { type: 'image_url', image_url: { url: 'https://a.example/a.png' } }],
    [
      'audio/mpeg',
      'data:audio/mpeg;base64,AA==',
      { type: 'input_audio', input_audio: { data: 'AA==', format: 'mp3' } },
    ],
    ['text/csv', 'data:text/csv;base64,YSxi', { type: 'text', text: 'a,b' }],
    ['text/plain', 'data:text/plain,a%20b', { type: 'text', text: 'a b' }],
    [
      'application/pdf',
      'data:application/pdf;base64,AA==',
      { type: 'file', file: { file_data: 'data:application/pdf;base64,AA==', filename: 'a.pdf' } },
    ],
    [
      'application/pdf',
      'https://a.example/a.pdf',
      { type: 'document', source: { type: 'url', url: 'https://a.example/a.pdf' } },
    ],
    [
      'text/plain',
      'https://a.example/a.txt',
      { type: 'document', source: { type: 'url', url: 'https://a.example/a.txt' } },
    ],
  ])('a file of type %s is what models take for it, at an address, too: %s', (mediaType, url, part) => {
    const parts = [
      { type: 'text', text: 'See:' },
      { type: 'file', mediaType, url, filename: 'a.pdf' },
    ]
    expect(messagesOf({ role: 'user', parts })).toEqual([
      { role: 'user', content: [{ type: 'text', text: 'See:' }, part] },
    ])
  })
})

describe('whatever a page sends', () => {
  const names = [
    'type',
    'text',
    'providerMetadata',
    'providerExecuted',
    'callProviderMetadata',
    'serverName',
    'anthropic',
    'signature',
    'url',
    'mediaType',
    'toolCallId',
    'toolName',
  ]
  const name = fc.constantFrom(
    ...names,
    'state',
    'input',
    'output',
    'rawInput',
    'approval',
    'name',
    'inputSchema',
    '__proto__',
  )
  const value = fc.oneof(
    fc.constantFrom(
      'text',
      'reasoning',
      'file',
      'tool-a',
      'tool-',
      'dynamic-tool',
      'step-start',
      'output-available',
      'output-error',
      'mcp-tool-use',
    ),
    fc.constantFrom('image/png', 'text/plain', 'data:,%', 'data:text/plain;base64,!', '', null, 1, true),
  )
  const { fields } = fc.letrec<{ fields: object; any: unknown }>((tie) => ({
    any: fc.oneof({ maxDepth: 3 }, value, fc.array(value, { maxLength: 2 }), tie('fields')),
    fields: fc.dictionary(name, tie('any'), { maxKeys: 6 }),
  }))
  const role = fc.constantFrom('user', 'assistant', 'system', 'tool')
  const message = fc.record({ role, parts: fc.array(fields, { maxLength: 4 }) })

  it('is a request, or a fault that is named', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 3 }), fc.oneof(fields, fc.array(fields)), (messages, tools) => {
        try {
          expect(parseUiChat({ messages, tools }, {}).input.messages.length).toBeGreaterThan(0)
        } catch (error) {
          expect(error).toBeInstanceOf(SluiceError)
          expect(error).toMatchObject({ code: 'invalid_request' })
          expect((error as SluiceError).faults).not.toEqual([])
        }
      }),
      { numRuns: 2000 },
    )
  })
})
