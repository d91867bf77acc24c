// Messages whose parts and ids a server of Chat Completions does not take as they came.

import { describe, expect, it } from 'vitest'
import { checkRequest, convertRequest } from '../../providers/openai/request.ts'
import { serverAt } from '../../providers/openai/servers.ts'
import { parseChat, type ChatInput } from '../../src/chat-request.ts'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'

const LOCAL = 'http://127.0.0.1:8000/v1'
const OPENAI = 'https://api.openai.com/v1'
const MISTRAL = 'https://api.mistral.ai/v1'
const user = { role: 'user', content: 'hi' }
const text = (words: string) => ({ type: 'text', text: words })
const call = (id: string) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } })
const pdf = { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' }
const file = (filename: string) => ({
  type: 'file',
  file: { file_data: 'data:application/pdf;base64,JVBERi0=', filename },
})

interface Message {
  role: string
  content?: unknown
  tool_calls?: { id: string }[]
  tool_call_id?: string
}

function sent(input: ChatInput, baseUrl: string): Message[] {
  const { messages } = convertRequest({ ...input, model: 'm' }, serverAt(baseUrl))
  return JSON.parse(JSON.stringify(messages)) as Message[]
}

function fromChat(messages: object[], baseUrl = LOCAL): Message[] {
  return sent(parseChat({ messages }), baseUrl)
}

function fromMessages(messages: object[], baseUrl = LOCAL): Message[] {
  return sent(anthropicMessages.parse({ model: 'm', max_tokens: 1, messages }, {}).input, baseUrl)
}

const asked = (...content: object[]) => [{ role: 'user', content }]

describe('blocks of Anthropic’s', () => {
  it.each<[what: string, block: object, parts: unknown]>([
    [
      'a document of text is text with its title',
      {
        type: 'document',
        source: { type: 'text', media_type: 'text/plain', data: 'D' },
        title: 'T',
        context: 'C',
        citations: { enabled: true },
      },
      [text('T\nC\n\nD')],
    ],
    [
      'a document of blocks is its blocks',
      { type: 'document', source: { type: 'content', content: [text('a'), text('b')] }, title: 'T' },
      [text('T'), text('a'), text('b')],
    ],
    [
      'a search result is text',
      { type: 'search_result', source: 'https://example.com', title: 'T', content: [text('a'), text('b')] },
      [text('T\nhttps://example.com\n\na\nb')],
    ],
    ['a PDF without a title gets a name', { type: 'document', source: pdf }, [file('document.pdf')]],
    [
      'a PDF keeps what is said about it',
      { type: 'document', source: pdf, title: 'a.pdf', context: 'C' },
      [text('C'), file('a.pdf')],
    ],
  ])('%s', (_, block, parts) => {
    for (const url of [LOCAL, OPENAI])
      expect(fromMessages(asked(text('x'), block), url)[0]!.content).toEqual([text('x'), ...(parts as object[])])
  })

  it('in results are text, too, and their PDFs follow', () => {
    const content = [
      { type: 'search_result', source: 's', title: 'T', content: [text('a')] },
      { type: 'tool_reference', tool_name: 'g' },
      { type: 'document', source: pdf },
    ]
    expect(
      fromMessages([
        user,
        { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content }] },
      ]).slice(2),
    ).toEqual([
      { role: 'tool', tool_call_id: 'a', content: [text('T\ns\n\na'), text('Tool: g')] },
      { role: 'user', content: [text('Result of a:'), file('document.pdf')] },
    ])
  })

  it.each<[what: string, block: object]>([
    ['a PDF by its address', { type: 'document', source: { type: 'url', url: 'https://example.com/a.pdf' } }],
    ['an image among Anthropic’s files', { type: 'image', source: { type: 'file', file_id: 'f' } }],
    ['a file for a container', { type: 'container_upload', file_id: 'f' }],
  ])('that have no equivalent are refused before the stream: %s', (_, block) => {
    const { input } = anthropicMessages.parse({ model: 'm', max_tokens: 1, messages: asked(text('x'), block) }, {})
    expect(() => checkRequest({ ...input, model: 'm' }, serverAt(LOCAL))).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        faults: [expect.objectContaining({ path: 'messages[0].content[1]' })],
      }),
    )
  })

  it('in an earlier answer leave its text', () => {
    const content = [
      text('I search.'),
      { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: {} },
      { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [] },
      text(' Found.'),
    ]
    expect(fromMessages([user, { role: 'assistant', content }])[1]).toEqual({
      role: 'assistant',
      content: 'I search. Found.',
    })
    expect(
      fromMessages([user, { role: 'assistant', content: [{ type: 'compaction', content: 'So far' }] }])[1],
    ).toEqual({ role: 'assistant', content: [text('So far')] })
  })
})

it('a single text of instructions is a string, which all servers take', () => {
  const system = [{ ...text('Be kind'), cache_control: { type: 'ephemeral' } }]
  const { input } = anthropicMessages.parse({ model: 'm', max_tokens: 1, messages: [user], system }, {})
  expect(sent(input, LOCAL)[0]).toEqual({ role: 'system', content: 'Be kind' })
})

it('a single text of a result stays a part if it came as one, and is a string if Sluice made it', () => {
  const result = (part: object) => ({ role: 'tool', tool_call_id: 'a', content: [part] })
  const answer = { role: 'assistant', content: null, tool_calls: [call('a')] }
  expect(fromChat([user, answer, result(text('x'))])[2]).toEqual(result(text('x')))
  const reference = { type: 'tool_reference', tool_name: 'g' }
  expect(fromChat([user, answer, result(reference)])[2]).toMatchObject({ content: 'Tool: g' })
})

it('a file without a name gets one, and null is no name', () => {
  const unnamed = { type: 'file', file: { file_data: 'data:application/pdf;base64,JVBERi0=', filename: null } }
  expect(fromChat(asked(unnamed))[0]!.content).toEqual([file('document.pdf')])
})

describe('an answer', () => {
  it('of thoughts that the server cannot read is left out', () => {
    const thoughts = { role: 'assistant', content: [{ type: 'redacted_thinking', data: 'x' }] }
    expect(fromMessages([user, thoughts, user])).toEqual([user, user])
    expect(fromChat([user, { role: 'assistant', content: null, tool_calls: [] }, user])).toEqual([user, user])
    expect(fromChat([user, { role: 'assistant', content: null, reasoning_content: 'a' }], OPENAI)).toEqual([user])
  })

  it('without calls has a content, and no empty list of calls', () => {
    expect(fromChat([user, { role: 'assistant', content: null, refusal: 'No', tool_calls: [] }])[1]).toEqual({
      role: 'assistant',
      content: '',
      refusal: 'No',
    })
    expect(fromChat([user, { role: 'assistant', content: null, tool_calls: [call('a')] }])[1]).toHaveProperty(
      'content',
      null,
    )
  })

  it('with Mistral’s thoughts among its parts goes back to Mistral as it came, and to others without them', () => {
    const content = [{ type: 'thinking', thinking: [text('Hm')] }, text('a')]
    expect(fromChat([user, { role: 'assistant', content }], MISTRAL)[1]).toEqual({ role: 'assistant', content })
    for (const url of [LOCAL, OPENAI])
      expect(fromChat([user, { role: 'assistant', content }], url)[1]).toEqual({ role: 'assistant', content: 'a' })
  })

  it('goes to OpenAI and Azure with the fields that these know', () => {
    const answer = {
      role: 'assistant',
      content: 'a',
      annotations: [],
      provider_specific_fields: {},
      parsed: null,
      images: [],
      tool_calls: [
        { ...call('c'), index: 0, function: { name: 'f', arguments: '{}', parsed_arguments: {} }, carried: {} },
      ],
    }
    const known = { role: 'assistant', content: 'a', annotations: [], tool_calls: [call('c')] }
    for (const url of [OPENAI, 'https://x.services.ai.azure.com/openai/v1', 'https://x.cognitiveservices.azure.com/v1'])
      expect(fromChat([user, answer], url)[1]).toEqual(known)
    expect(fromChat([user, answer])[1]).toHaveProperty('provider_specific_fields')
  })
})

it.each([
  ['OpenAI takes 40 characters', OPENAI, /^.{1,40}$/],
  ['Mistral takes 9 letters and digits', MISTRAL, /^[a-zA-Z0-9]{9}$/],
])('ids of calls are those that the server takes, and still match: %s', (_, url, allowed) => {
  const ids = [`toolu_${'x'.repeat(60)}1`, `toolu_${'x'.repeat(60)}2`, 'functions.f:0', 'abcDEF123']
  const messages = [
    user,
    { role: 'assistant', content: null, tool_calls: ids.map(call) },
    ...ids.map((id) => ({ role: 'tool', tool_call_id: id, content: '1' })),
  ]
  const [, answer, ...results] = fromChat(messages, url)
  const given = answer!.tool_calls!.map(({ id }) => id)
  for (const id of given) expect(id).toMatch(allowed)
  expect(new Set(given).size).toBe(ids.length)
  expect(given[3]).toBe('abcDEF123')
  expect(results.map(({ tool_call_id }) => tool_call_id)).toEqual(given)
})
