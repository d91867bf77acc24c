import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { convertRequest } from '../../providers/anthropic/request.ts'
import { SluiceError } from '../../src/errors.ts'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'
import { anyBody } from './any-anthropic-body.ts'

function parse(body: object, headers: Record<string, string> = {}) {
  return anthropicMessages.parse(
    { model: 'claude', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }], ...body },
    headers,
  )
}

function messagesOf(...messages: unknown[]): unknown {
  return parse({ messages }).input.messages
}

function faultsOf(body: unknown): unknown {
  try {
    anthropicMessages.parse(body, {})
  } catch (error) {
    return error instanceof SluiceError && error.code === 'invalid_request' ? error.faults : error
  }
  return 'was not refused'
}

const text = (words: string) => ({ type: 'text', text: words })
const cache_control = { type: 'ephemeral' }

describe('parameters', () => {
  it.each<[what: string, body: object, input: object]>([
    [
      'system, a string',
      { system: 'Be kind' },
      { messages: [{ role: 'system', content: 'Be kind' }, expect.anything()] },
    ],
    [
      'system, blocks with a hint for the cache',
      { system: [text('a'), { ...text('b'), cache_control }] },
      { messages: [{ role: 'system', content: [text('a'), { ...text('b'), cache_control }] }, expect.anything()] },
    ],
    ['stop_sequences', { stop_sequences: ['x'] }, { stop: ['x'] }],
    ['metadata', { metadata: { user_id: 'u' } }, { user: 'u' }],
    ['effort', { output_config: { effort: 'low' } }, { reasoning_effort: 'low' }],
    [
      'a format',
      { output_config: { format: { type: 'json_schema', schema: { type: 'object' } } } },
      {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'answer', schema: { type: 'object' }, strict: false },
        },
      },
    ],
    [
      'a format, as it was called in beta',
      { output_format: { type: 'json_schema', schema: { type: 'object' } } },
      {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'answer', schema: { type: 'object' }, strict: false },
        },
      },
    ],
    ['tool_choice: any', { tool_choice: { type: 'any' } }, { tool_choice: 'required' }],
    ['tool_choice: none', { tool_choice: { type: 'none' } }, { tool_choice: 'none' }],
    [
      'tool_choice: tool',
      { tool_choice: { type: 'tool', name: 'f', disable_parallel_tool_use: true } },
      { tool_choice: { type: 'function', function: { name: 'f' } }, parallel_tool_calls: false },
    ],
    [
      'what OpenAI has no name for, under its own',
      { top_k: 3, thinking: { type: 'enabled', budget_tokens: 1024 }, service_tier: 'auto', future: { a: 1 } },
      { top_k: 3, thinking: { type: 'enabled', budget_tokens: 1024 }, service_tier: 'auto', future: { a: 1 } },
    ],
    [
      'null, as nothing',
      { container: null, thinking: null, metadata: { user_id: null }, output_config: { effort: null, format: null } },
      {},
    ],
  ])('%s', (_, body, input) => {
    expect(parse(body).input).toEqual({ ...parse({}).input, ...input })
  })

  const closed = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false }

  it.each<[strict: boolean, what: string, schema: object]>([
    [true, 'closed, with all fields required', closed],
    [true, 'the same at every level', { ...closed, properties: { a: { type: 'array', items: closed } } }],
    [false, 'open', { ...closed, additionalProperties: true }],
    [false, 'with an optional field', { ...closed, required: [] }],
    [false, 'open below', { ...closed, properties: { a: { anyOf: [{ type: 'object' }] } } }],
    [false, 'with words that OpenAI lacks', { ...closed, allOf: [closed] }],
    [false, 'no object', { type: 'string' }],
  ])('a format is strict only if OpenAI takes its schema so: %s, %s', (strict, _, schema) => {
    const { response_format } = parse({ output_config: { format: { type: 'json_schema', schema } } }).input
    expect(response_format).toEqual({ type: 'json_schema', json_schema: { name: 'answer', schema, strict } })
  })

  it('null within a source and a format is nothing', () => {
    const source = { type: 'url', url: 'https://example.com/a.png', data: null, media_type: null }
    expect(messagesOf({ role: 'user', content: [{ type: 'image', source }] })).toEqual([
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }] },
    ])
    expect(parse({ output_config: { format: { type: 'json_schema', schema: null } } }).input).toMatchObject({
      output_config: { format: { type: 'json_schema' } },
    })
  })

  it('tools are functions, and Anthropic’s own stay as they are', () => {
    const input_schema = { type: 'object', properties: {} }
    const server = { type: 'web_search_20250305', name: 'web_search', max_uses: 5 }
    const tools = [
      { name: 'f', description: 'F', input_schema, cache_control },
      { type: 'custom', name: 'g', input_schema },
      server,
    ]
    expect(parse({ tools }).input.tools).toEqual([
      { type: 'function', function: { name: 'f', description: 'F', parameters: input_schema }, cache_control },
      { type: 'function', function: { name: 'g', parameters: input_schema } },
      server,
    ])
  })

  it('say whether to stream, and which headers go on to Anthropic', () => {
    const headers = { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'a,b', 'x-api-key': 'secret', accept: '*/*' }
    expect(parse({ stream: true }, headers)).toMatchObject({
      mode: 'stream',
      forward: { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'a,b' },
    })
    expect(parse({}, headers).forward).not.toHaveProperty('x-api-key')
    expect(parse({})).toMatchObject({ mode: 'whole', forward: {} })
    expect(parse({ stream: true }).input).not.toHaveProperty('stream')
  })
})

describe('messages', () => {
  it('bring images and documents', () => {
    const plain = { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'x' } }
    const byFile = { type: 'image', source: { type: 'file', file_id: 'file_1' } }
    const content = [
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0=' }, cache_control },
      { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
      { type: 'document', title: 'T', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' } },
      plain,
      byFile,
    ]
    expect(messagesOf({ role: 'user', content })).toEqual([
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0=' }, cache_control },
          { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
          { type: 'file', file: { filename: 'T', file_data: 'data:application/pdf;base64,JVBERi0=' } },
          plain,
          byFile,
        ],
      },
    ])
  })

  const thoughts = (words: string, signature = 's') => ({ type: 'thinking', thinking: words, signature })
  const use = { type: 'tool_use', id: 'a', name: 'f', input: { x: [1] } }
  const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":[1]}' } }

  it('of an assistant are one; what it cannot say comes along for Anthropic', () => {
    const content = [thoughts('1'), text('one'), thoughts('2'), use, text('two')]
    expect(messagesOf({ role: 'assistant', content })).toEqual([
      {
        role: 'assistant',
        content: 'onetwo',
        thinking_blocks: [thoughts('1'), thoughts('2')],
        tool_calls: [call],
        carried: { anthropic: { content } },
      },
    ])
  })

  it('have unsigned thoughts as reasoning: Sluice made them of it', () => {
    expect(messagesOf({ role: 'assistant', content: [thoughts('1', ''), use] })).toEqual([
      { role: 'assistant', content: null, reasoning_content: '1', tool_calls: [call] },
    ])
  })

  it('of a user are split: each result is one of its own', () => {
    const result = (id: string, more: object) => ({ type: 'tool_result', tool_use_id: id, ...more })
    const content = [result('a', { content: [text('r')], is_error: true }), result('b', {}), text('next')]
    expect(messagesOf({ role: 'user', content })).toEqual([
      { role: 'tool', tool_call_id: 'a', content: 'r', is_error: true },
      { role: 'tool', tool_call_id: 'b', content: '' },
      { role: 'user', content: 'next' },
    ])
  })
})

it('null is nothing in blocks and tools, too', () => {
  const input_schema = { type: 'object', default: null }
  const tools = [{ type: null, name: 'f', description: null, input_schema, strict: null, cache_control: null }]
  const { input } = parse({
    tools,
    tool_choice: { type: 'auto', disable_parallel_tool_use: null },
    messages: [
      { role: 'user', content: 'hi' },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'a', citations: null },
          { type: 'tool_use', id: 'b', name: 'f', input: { x: null }, caller: null },
        ],
      },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'b', content: null, is_error: null }] },
    ],
  })
  expect(input).toMatchObject({ tool_choice: 'auto' })
  expect(input.tools).toEqual([{ type: 'function', function: { name: 'f', parameters: input_schema } }])
  expect(input.messages.slice(1)).toEqual([
    {
      role: 'assistant',
      content: 'a',
      tool_calls: [{ id: 'b', type: 'function', function: { name: 'f', arguments: '{"x":null}' } }],
    },
    { role: 'tool', tool_call_id: 'b', content: '' },
  ])
})

describe('a body that is wrong', () => {
  const messages = [{ role: 'user', content: 'hi' }]
  const body = { model: 'm', max_tokens: 1, messages }
  const inMessage = (role: string, block: unknown) => ({
    ...body,
    messages: [...messages, { role, content: [text('a'), block] }],
  })

  it.each<[path: string, body: unknown]>([
    ['(body)', 'x'],
    ['model', { max_tokens: 1, messages }],
    ['max_tokens', { model: 'm', messages }],
    ['messages', { model: 'm', max_tokens: 1, messages: [] }],
    ['messages[0].role', { ...body, messages: [{ role: 'tool', content: 'x' }] }],
    ['messages[0].content', { ...body, messages: [{ role: 'user', content: 1 }] }],
    ['messages[1].content[1].text', inMessage('user', { type: 'text' })],
    ['messages[1].content[1].type', inMessage('user', {})],
    [
      'messages[1].content[1].source.data',
      inMessage('user', { type: 'image', source: { type: 'base64', media_type: 'a' } }),
    ],
    ['messages[1].content[1].source', inMessage('user', { type: 'document' })],
    ['messages[1].content[1].input', inMessage('assistant', { type: 'tool_use', id: 'a', name: 'f', input: 'x' })],
    ['messages[1].content[1].type', inMessage('user', { type: 'tool_use', id: 'a', name: 'f', input: {} })],
    ['messages[1].content[1].type', inMessage('assistant', { type: 'tool_result', tool_use_id: 'a' })],
    [
      'messages[1].content[1].content[0].source.url',
      inMessage('user', {
        type: 'tool_result',
        tool_use_id: 'a',
        content: [{ type: 'image', source: { type: 'url' } }],
      }),
    ],
    ['messages[1].content[1].thinking', inMessage('assistant', { type: 'thinking' })],
    ['system[0].text', { ...body, system: [{ type: 'text' }] }],
    ['tools[0].input_schema', { ...body, tools: [{ name: 'f' }] }],
    ['tools[0].name', { ...body, tools: [{ input_schema: {} }] }],
    ['tool_choice.name', { ...body, tool_choice: { type: 'tool' } }],
    ['tool_choice.type', { ...body, tool_choice: { type: 'required' } }],
    ['stop_sequences', { ...body, stop_sequences: 'x' }],
    ['n', { ...body, n: 2 }],
    ['max_completion_tokens', { ...body, max_completion_tokens: 2 }],
    ['output_config.effort', { ...body, output_config: { effort: 3 } }],
  ])('is refused by its own path: %s', (path, wrong) => {
    expect(faultsOf(wrong)).toEqual([{ path, message: expect.any(String) }])
  })

  it('is told every fault', () => {
    expect(faultsOf({ messages: [{ role: 'user', content: [{ type: 'text' }] }] })).toHaveLength(3)
  })
})

describe('a body, through a chat request and back', () => {
  it('says the same to Anthropic', () => {
    fc.assert(
      fc.property(anyBody, (body) => {
        const { input } = anthropicMessages.parse(body, {})
        expect(normal(convertRequest({ ...input, model: 'claude-opus-4-8' }, 1).body)).toEqual(
          normal({ ...body, stream: true }),
        )
      }),
      { numRuns: 300 },
    )
  })
})

interface Body {
  messages: { role: string; content: unknown }[]
  [field: string]: unknown
}

/**
 * What the API says is the same: a string and a block of text, turns of one side and one turn, null and nothing. The
 * results of calls must come first.
 * https://platform.claude.com/docs/en/api/messages
 */
function normal(value: object): unknown {
  const { messages, system, tools, ...rest } = value as Body & { system?: unknown; tools?: { type?: string }[] }
  const turns: { role: string; content: unknown[] }[] = []
  for (const { role, content } of messages) {
    const last = turns.at(-1)
    if (last?.role === role) last.content.push(...blocks(content))
    else turns.push({ role, content: [...blocks(content)] })
  }
  for (const turn of turns)
    turn.content = [...turn.content.filter(isResult), ...turn.content.filter((x) => !isResult(x))]
  const named = tools?.map(({ type, ...tool }) => (type === 'custom' ? tool : { type, ...tool }))
  return JSON.parse(JSON.stringify({ ...rest, messages: turns, tools: named, system: system && blocks(system) }))
}

function isResult(value: unknown): boolean {
  return (value as { type: string }).type === 'tool_result'
}

function blocks(content: unknown): unknown[] {
  if (typeof content === 'string') return [text(content)]
  return (content as Record<string, unknown>[])
    .map(withoutNulls)
    .map((block) =>
      block.type === 'tool_result' && Array.isArray(block.content)
        ? { ...block, content: resultContent(block.content as Record<string, unknown>[]) }
        : block,
    )
}

function withoutNulls(block: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(block).filter(([, value]) => value !== null))
}

/** In a result, one plain text may be a string. */
function resultContent(content: Record<string, unknown>[]): unknown {
  const [first] = content
  if (!first) return undefined
  return content.length === 1 && first.type === 'text' && Object.keys(first).length === 2 ? first.text : content
}
