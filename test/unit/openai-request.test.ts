import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkRequest, convertRequest } from '../../providers/openai/request.ts'
import { serverAt } from '../../providers/openai/servers.ts'
import { parseChat, type ChatRequest } from '../../src/chat-request.ts'
import { SluiceError } from '../../src/errors.ts'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'
import { withThoughtSignature } from '../../src/wires/thought-signature.ts'

const cache_control = { type: 'ephemeral' }
const LOCAL = 'http://127.0.0.1:8000/v1'
const OPENAI = 'https://api.openai.com/v1'
const OPENROUTER = 'https://openrouter.ai/api/v1'
const user = { role: 'user', content: 'hi' }
const use = (id: string) => ({ type: 'tool_use', id, name: 'f', input: {} })
const result = (id: string) => ({ type: 'tool_result', tool_use_id: id, content: id })
const call = (id: string) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } })
const text = (words: string) => ({ type: 'text', text: words })

function fromMessages(body: object): ChatRequest {
  const { input } = anthropicMessages.parse({ model: 'm', max_tokens: 10, messages: [user], ...body }, {})
  return { ...input, model: 'm' }
}

function fromChat(body: object): ChatRequest {
  return { ...parseChat({ messages: [user], ...body }), model: 'm' }
}

function sent(request: ChatRequest, baseUrl = LOCAL): Record<string, unknown> {
  return JSON.parse(JSON.stringify(convertRequest(request, serverAt(baseUrl)))) as Record<string, unknown>
}

function messagesOf(messages: object[], baseUrl = LOCAL, model = 'm'): unknown[] {
  return (sent({ ...fromMessages({ messages }), model }, baseUrl).messages as unknown[]).slice(1)
}

function answerOf(answer: object, baseUrl = LOCAL, model = 'm'): unknown {
  const request = { ...fromChat({ messages: [user, { role: 'assistant', ...answer }] }), model }
  return (sent(request, baseUrl).messages as unknown[])[1]
}

it('a request of Anthropic’s, less what only Anthropic reads', () => {
  const request = fromMessages({
    cache_control,
    thinking: { type: 'disabled' },
    system: [{ type: 'text', text: 'Be kind', cache_control }],
    tools: [{ name: 'f', input_schema: { type: 'object' }, cache_control, eager_input_streaming: true }],
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'hi', cache_control }] },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Hm', signature: 's' },
          { type: 'text', text: 'Let me look', citations: [] },
          { type: 'tool_use', id: 'a', name: 'f', input: {}, caller: { type: 'direct' }, cache_control },
        ],
      },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: 'a', content: 'gone', is_error: true, cache_control }],
      },
    ],
  })
  expect(sent(request)).toEqual({
    model: 'm',
    max_tokens: 10,
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }],
    messages: [
      { role: 'system', content: 'Be kind' },
      { role: 'user', content: [{ type: 'text', text: 'hi' }] },
      { role: 'assistant', content: 'Let me look', tool_calls: [call('a')] },
      { role: 'tool', tool_call_id: 'a', content: 'gone' },
    ],
  })
})

it('a request of Chat Completions, as it is', () => {
  const request = fromChat({
    thinking: { type: 'enabled' },
    top_k: 4,
    reasoning_effort: 'minimal',
    service_tier: 'flex',
    metadata: { tags: ['a'] },
    functions: [{ name: 'f' }],
    function_call: 'auto',
    tools: [
      { type: 'custom', custom: { name: 'sql' } },
      { type: 'web_search', web_search: {} },
    ],
    messages: [
      { role: 'user', content: [{ type: 'video_url', video_url: { url: 'https://example.com/a.mp4' } }] },
      { role: 'assistant', content: [text('a')], reasoning_content: 'b', refusal: 'no' },
      { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{}' } },
      { role: 'function', name: 'f', content: '1' },
      { role: 'assistant', tool_calls: [{ id: 'a', type: 'custom', custom: { name: 'sql', input: 'SELECT 1' } }] },
      { role: 'tool', tool_call_id: 'a', content: '1' },
    ],
  })
  expect(sent(request)).toEqual(request)
})

describe('reasoning goes back to the upstream it came from', () => {
  it('a thought that Sluice left unsigned is the reasoning of an upstream of Chat Completions', () => {
    const content = [{ type: 'thinking', thinking: 'I should call f.', signature: '' }, use('a')]
    const turns = [user, { role: 'assistant', content }, { role: 'user', content: [result('a')] }]
    expect(messagesOf(turns)).toEqual([
      { role: 'assistant', content: null, reasoning_content: 'I should call f.', tool_calls: [call('a')] },
      { role: 'tool', tool_call_id: 'a', content: 'a' },
    ])
    expect(messagesOf(turns, OPENAI)[0]).not.toHaveProperty('reasoning_content')
    expect(messagesOf(turns, 'https://api.groq.com/openai/v1')[0]).toMatchObject({ reasoning: 'I should call f.' })
  })

  it('thoughts that Anthropic has signed go to servers that offer Claude, and to no other', () => {
    const content = [
      { type: 'thinking', thinking: 'Hm', signature: 's' },
      { type: 'redacted_thinking', data: 'x' },
      text('a'),
    ]
    const turns = [user, { role: 'assistant', content }]
    expect(messagesOf(turns)).toEqual([{ role: 'assistant', content: 'a' }])
    expect(messagesOf(turns, OPENROUTER)).toEqual([
      {
        role: 'assistant',
        content: 'a',
        reasoning_details: [
          { type: 'reasoning.text', text: 'Hm', signature: 's', format: 'anthropic-claude-v1', index: 0 },
          { type: 'reasoning.encrypted', data: 'x', format: 'anthropic-claude-v1', index: 1 },
        ],
      },
    ])
    expect(messagesOf(turns, LOCAL, 'anthropic/claude-x')[0]).toHaveProperty('thinking_blocks')
  })

  const claude = { type: 'reasoning.text', text: 'a', signature: 's', format: 'anthropic-claude-v1', index: 0 }

  it.each<[what: string, url: string, answer: object, kept: string[]]>([
    [
      'both names, to a server of unknown kind',
      LOCAL,
      { reasoning: 'a', reasoning_content: 'a' },
      ['reasoning', 'reasoning_content'],
    ],
    ['none, to OpenAI', OPENAI, { reasoning: 'a', reasoning_content: 'a', reasoning_details: [claude] }, []],
    ['none, to Azure', 'https://x.openai.azure.com/openai/v1', { reasoning_content: 'a' }, []],
    [
      'none of Claude’s, to another vendor: neither the details that Sluice made nor the words beside them',
      LOCAL,
      { reasoning_content: 'a', reasoning_details: [claude] },
      [],
    ],
    [
      'details that a server like OpenRouter made',
      LOCAL,
      { reasoning: 'a', reasoning_details: [claude] },
      ['reasoning', 'reasoning_details'],
    ],
    ['details, to OpenRouter', OPENROUTER, { reasoning_details: [claude] }, ['reasoning_details']],
    [
      'details without a vendor',
      LOCAL,
      { reasoning_details: [{ type: 'reasoning.text', text: 'a' }] },
      ['reasoning_details'],
    ],
  ])('%s', (_, url, answer, kept) => {
    const back = answerOf({ content: 'b', ...answer }, url) as object
    expect(Object.keys(back).toSorted()).toEqual(['content', 'role', ...kept].toSorted())
  })

  it('a snapshot of the native protocol becomes the message that the upstream sent', () => {
    const details = [{ type: 'reasoning.encrypted', data: 'x', format: 'openai-responses-v1' }]
    const extra_content = { google: { thought_signature: 'SIG' } }
    const snapshot = {
      content: 'b',
      reasoning: 'a',
      tool_calls: [{ ...call('c1'), carried: { openai: { call: { extra_content } } } }],
      carried: {
        openai: {
          chunk: { id: 'x' },
          choice: { logprobs: null },
          delta: { content: null, reasoning_details: details, annotations: [] },
          reasoning_fields: ['reasoning'],
        },
      },
    }
    expect(answerOf(snapshot)).toEqual({
      role: 'assistant',
      content: 'b',
      reasoning: 'a',
      reasoning_details: details,
      annotations: [],
      tool_calls: [{ ...call('c1'), extra_content }],
    })
    expect(answerOf(snapshot, OPENAI)).toEqual({
      role: 'assistant',
      content: 'b',
      annotations: [],
      tool_calls: [call('c1')],
    })
  })

  it('a snapshot names the reasoning as the upstream did; of another wire it brings none', () => {
    expect(answerOf({ content: 'b', reasoning: 'a', carried: { openai: { chunk: {} } } })).toEqual({
      role: 'assistant',
      content: 'b',
      reasoning_content: 'a',
    })
    const anthropic = { signature: 's', content: [{ type: 'thinking', thinking: 'a', signature: 's' }] }
    expect(answerOf({ content: 'b', reasoning: 'a', carried: { anthropic } })).toEqual({
      role: 'assistant',
      content: 'b',
    })
  })

  it('Google’s signature of a call comes out of the call’s id, and out of the older name of carried fields', () => {
    const id = withThoughtSignature('c1', 'SIG')
    const extra_content = { google: { thought_signature: 'SIG' } }
    const turns = [user, { role: 'assistant', content: [use(id)] }, { role: 'user', content: [result(id)] }]
    expect(messagesOf(turns)).toMatchObject([
      { tool_calls: [{ ...call('c1'), extra_content }] },
      { role: 'tool', tool_call_id: 'c1' },
    ])
    expect(messagesOf(turns, OPENAI)).toMatchObject([{ tool_calls: [call('c1')] }, { tool_call_id: 'c1' }])
    const older = { content: null, tool_calls: [{ ...call('c1'), extra: { extra_content } }] }
    expect(answerOf(older)).toMatchObject({ tool_calls: [{ ...call('c1'), extra_content }] })
    expect(JSON.stringify(answerOf(older))).not.toContain('"extra":')
  })
})

describe('the order of messages', () => {
  it('text between tool uses leaves one answer, with the results of its calls right after it', () => {
    const content = [text('First.'), use('t1'), text('Second.'), use('t2')]
    const results = { role: 'user', content: [text('and?'), result('t1'), text('so?'), result('t2')] }
    expect(messagesOf([user, { role: 'assistant', content }, results])).toEqual([
      { role: 'assistant', content: 'First.Second.', tool_calls: [call('t1'), call('t2')] },
      { role: 'tool', tool_call_id: 't1', content: 't1' },
      { role: 'tool', tool_call_id: 't2', content: 't2' },
      { role: 'user', content: 'and?' },
      { role: 'user', content: 'so?' },
    ])
  })

  it('answers in a row are one if a call is among them', () => {
    const answer = (...content: object[]) => ({ role: 'assistant', content })
    const turns = [
      user,
      answer(text('a'), use('t1')),
      answer(text('b'), use('t2')),
      { role: 'user', content: [result('t1'), result('t2')] },
    ]
    expect(messagesOf(turns).slice(0, 2)).toEqual([
      { role: 'assistant', content: 'ab', tool_calls: [call('t1'), call('t2')] },
      { role: 'tool', tool_call_id: 't1', content: 't1' },
    ])
    expect(messagesOf([user, answer(text('a')), answer(text('b'))])).toHaveLength(2)
  })

  it('images of results are a message of the user’s, after all results', () => {
    const image = { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } }
    const looked = { type: 'tool_result', tool_use_id: 't1', content: [text('seen'), image] }
    const turns = [
      user,
      { role: 'assistant', content: [use('t1'), use('t2')] },
      { role: 'user', content: [looked, result('t2')] },
    ]
    expect(messagesOf(turns).slice(1)).toEqual([
      { role: 'tool', tool_call_id: 't1', content: 'seen' },
      { role: 'tool', tool_call_id: 't2', content: 't2' },
      {
        role: 'user',
        content: [text('Result of t1:'), { type: 'image_url', image_url: { url: 'https://example.com/a.png' } }],
      },
    ])
  })

  const anyAnswer = fc.array(fc.constantFrom('text', 'call', 'thinking', 'redacted'), { minLength: 1, maxLength: 6 })
  const anyConversation = fc.array(
    fc.record({
      answers: fc.array(anyAnswer, { minLength: 1, maxLength: 3 }),
      mixed: fc.boolean(),
      apart: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3 },
  )

  it('of any blocks is one that OpenAI takes: each answer with calls is followed by all their results', () => {
    fc.assert(
      fc.property(anyConversation, (turns) => {
        let ids = 0
        const messages: object[] = [user]
        for (const { answers, mixed, apart } of turns) {
          const open: string[] = []
          for (const kinds of answers) {
            const content = kinds.map((kind) => {
              if (kind === 'text') return text('t')
              if (kind === 'thinking') return { type: 'thinking', thinking: 'x', signature: '' }
              if (kind === 'redacted') return { type: 'redacted_thinking', data: 'x' }
              open.push(`c${++ids}`)
              return use(`c${ids}`)
            })
            messages.push({ role: 'assistant', content })
          }
          const blocks = open.flatMap((id) => (mixed ? [text('u'), result(id)] : [result(id)]))
          if (apart) for (const block of [...blocks, text('end')]) messages.push({ role: 'user', content: [block] })
          else messages.push({ role: 'user', content: [...blocks, text('end')] })
        }
        expectValid(messagesOf(messages) as Message[])
      }),
    )
  })

  interface Message {
    role: string
    tool_calls?: { id: string }[]
    tool_call_id?: string
  }

  function expectValid(messages: Message[]): void {
    let expected = new Set<string>()
    for (const { role, tool_calls = [], tool_call_id = '' } of messages) {
      if (role === 'tool') expect(expected.delete(tool_call_id)).toBe(true)
      else expect(expected.size).toBe(0)
      if (role === 'assistant') expected = new Set(tool_calls.map(({ id }) => id))
    }
    expect(expected.size).toBe(0)
  }
})

describe('parameters', () => {
  it.each<[what: string, url: string, body: object, fields: object, ignored: string[]]>([
    [
      'a budget of thoughts is an effort',
      LOCAL,
      { thinking: { type: 'enabled', budget_tokens: 8000 } },
      { reasoning_effort: 'medium' },
      [],
    ],
    [
      'a budget, to a server with a switch',
      'https://api.deepseek.com',
      { thinking: { type: 'enabled', budget_tokens: 8000 } },
      { thinking: { type: 'enabled' } },
      [],
    ],
    [
      'no thoughts, to a server with a switch',
      'https://api.deepseek.com',
      { thinking: { type: 'disabled' } },
      { thinking: { type: 'disabled' } },
      [],
    ],
    [
      'a budget, to a server without efforts',
      'https://api.mistral.ai/v1',
      { thinking: { type: 'enabled', budget_tokens: 8000 } },
      {},
      ['thinking'],
    ],
    ['thoughts as the model likes', LOCAL, { thinking: { type: 'adaptive' } }, {}, ['thinking']],
    [
      'an effort wins over a budget',
      LOCAL,
      { thinking: { type: 'enabled', budget_tokens: 8000 }, output_config: { effort: 'max' } },
      { reasoning_effort: 'high' },
      [],
    ],
    ['top_k, to a server that knows it', LOCAL, { top_k: 4 }, { top_k: 4 }, []],
    ['top_k, to OpenAI', OPENAI, { top_k: 4 }, {}, ['top_k']],
    [
      'advice that Anthropic alone understands',
      LOCAL,
      {
        service_tier: 'standard_only',
        context_management: { edits: [] },
        speed: 'fast',
        billing_policy: 'x',
        compaction: {},
        fallback_credit_token: 't',
      },
      {},
      ['billing_policy', 'compaction', 'context_management', 'fallback_credit_token', 'speed', 'service_tier'],
    ],
    [
      'metadata beyond OpenAI’s limits',
      OPENAI,
      { metadata: { user_id: 'u', a: 'x'.repeat(513) } },
      { user: 'u' },
      ['metadata'],
    ],
    ['no servers and no container', LOCAL, { mcp_servers: [], container: null }, {}, []],
  ])('%s', (_, url, body, fields, ignored) => {
    const request = fromMessages(body)
    expect(sent(request, url)).toEqual({ ...sent(fromMessages({}), url), ...fields })
    expect(checkRequest(request, serverAt(url))).toEqual(ignored)
  })

  it('reasoning_effort is left out for models of OpenAI that do not reason', () => {
    const request = { ...fromChat({ reasoning_effort: 'high' }), model: 'gpt-4.1' }
    expect(sent(request, OPENAI)).not.toHaveProperty('reasoning_effort')
    expect(checkRequest(request, serverAt(OPENAI))).toEqual(['reasoning_effort'])
    expect(sent({ ...request, model: 'gpt-5.1' }, OPENAI)).toHaveProperty('reasoning_effort', 'high')
  })

  it.each([
    ['gpt-5', OPENAI, 'high'],
    ['o4-mini', OPENAI, 'high'],
    ['gpt-5.2', OPENAI, 'xhigh'],
    ['gpt-5.1-codex-max', OPENAI, 'xhigh'],
    ['gemini-3-pro', 'https://generativelanguage.googleapis.com/v1beta/openai', 'high'],
    ['anthropic/claude-opus-4.8', OPENROUTER, 'xhigh'],
  ])('the effort xhigh is high for models without it: %s', (model, url, effort) => {
    expect(sent({ ...fromChat({ reasoning_effort: 'xhigh' }), model }, url)).toHaveProperty('reasoning_effort', effort)
  })

  it('lists that are empty are left out, and so is a choice without tools', () => {
    const empty = { tools: [], tool_choice: 'auto', parallel_tool_calls: true, stop: [] }
    expect(sent(fromChat(empty))).toEqual(sent(fromChat({})))
    expect(sent(fromChat({ tool_choice: 'none' }))).toEqual(sent(fromChat({})))
    const tools = [{ type: 'function', function: { name: 'f' } }]
    expect(sent(fromChat({ ...empty, tools }))).toMatchObject({ tools, tool_choice: 'auto', parallel_tool_calls: true })
  })

  it('more stops than OpenAI takes are refused there, and sent to others', () => {
    const request = fromChat({ stop: ['a', 'b', 'c', 'd', 'e'] })
    expect(() => checkRequest(request, serverAt(OPENAI))).toThrow(
      expect.objectContaining({ faults: [expect.objectContaining({ path: 'stop' })] }),
    )
    expect(sent(request)).toHaveProperty('stop', ['a', 'b', 'c', 'd', 'e'])
  })

  it('tools lose what only Anthropic reads, and their objects have properties', () => {
    const tool = {
      name: 'f',
      input_schema: { type: 'object' },
      defer_loading: true,
      input_examples: [{}],
      allowed_callers: ['direct'],
    }
    expect(sent(fromMessages({ tools: [tool] })).tools).toEqual([
      { type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } },
    ])
  })

  it('ids of users that are too long for OpenAI are digests', () => {
    const user_id = JSON.stringify({ device: 'x'.repeat(64), session: 'y' })
    const [one, other] = [user_id, `${user_id}!`].map((id) => sent(fromMessages({ metadata: { user_id: id } })).user)
    expect(one).toMatch(/^[0-9a-f]{64}$/)
    expect(other).not.toBe(one)
  })

  it.each<[path: string, body: object]>([
    ['container', { container: 'c' }],
    ['mcp_servers', { mcp_servers: [{ type: 'url', name: 'a', url: 'https://example.com' }] }],
    ['inference_geo', { inference_geo: 'eu' }],
    ['tools[0]', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }],
    ['tools[0]', { tools: [{ type: 'tool_search_tool_bm25', name: 'tool_search_tool_bm25' }] }],
    ['tools[0]', { tools: [{ type: 'mcp_toolset', mcp_server_name: 'a' }] }],
  ])('that change the meaning are refused by name: %s', (path, body) => {
    const request = fromMessages(body)
    expect(() => checkRequest(request, serverAt(LOCAL))).toThrow(
      expect.objectContaining({ code: 'invalid_request', faults: [expect.objectContaining({ path })] }),
    )
  })

  it('a thread is refused with the code on which Anthropic’s SDK sends the whole conversation', () => {
    const request = fromMessages({ thread: { type: 'create' } })
    try {
      checkRequest(request, serverAt(LOCAL))
      expect.unreachable()
    } catch (error) {
      expect(error instanceof SluiceError && error.carried).toMatchObject({
        anthropic: { error: { type: 'invalid_request_error', details: { error_code: 'thread_unsupported_request' } } },
      })
    }
  })
})
