import { describe, expect, it } from 'vitest'
import { providerConfigSchema } from '../../providers/options.ts'
import { usesResponses } from '../../providers/openai/responses/api.ts'
import { checkResponse, toResponseBody } from '../../providers/openai/responses/request.ts'
import { serverAt } from '../../providers/openai/servers.ts'
import { ORIGINAL, parseChat, type ChatRequest } from '../../src/chat-request.ts'
import { SluiceError } from '../../src/errors.ts'

type Fields = Record<string, unknown>

const user = { role: 'user', content: 'Hi!' }
const OPENAI = 'https://api.openai.com/v1'
const openai = serverAt(OPENAI)

function request(fields: Fields): ChatRequest {
  return { ...parseChat({ messages: [user], ...fields }), model: 'gpt-5' }
}

const convert = (fields: Fields, server = openai) => toResponseBody(request(fields), server)

function faultOf(fields: Fields): string | undefined {
  try {
    checkResponse(request(fields), openai)
  } catch (error) {
    if (error instanceof SluiceError) return error.faults?.[0]?.path
    throw error
  }
  throw new Error('nothing wrong')
}

describe('a request for the Responses API', () => {
  it('is not stored, and wants hidden reasoning from models that reason', () => {
    const basic = { model: 'gpt-5', input: [{ type: 'message', ...user }], store: false, stream: true }
    expect(convert({})).toEqual({ ...basic, include: ['reasoning.encrypted_content'] })
    expect(toResponseBody({ ...request({}), model: 'gpt-4o' }, openai)).toEqual({ ...basic, model: 'gpt-4o' })
    expect(convert({ store: true, include: ['x'] })).toMatchObject({
      store: true,
      include: ['x', 'reasoning.encrypted_content'],
    })
  })

  it('has parameters under their names here', () => {
    const schema = { name: 'n', strict: true, schema: { type: 'object' } }
    const body = convert({
      max_tokens: 9,
      reasoning_effort: 'low',
      verbosity: 'low',
      response_format: { type: 'json_schema', json_schema: schema },
      logprobs: true,
      top_logprobs: 2,
      temperature: 0,
      metadata: { a: 'b' },
      seed: 1,
      mock: {},
    })
    expect(body).toMatchObject({
      max_output_tokens: 9,
      reasoning: { effort: 'low' },
      text: { verbosity: 'low', format: { type: 'json_schema', ...schema } },
      include: ['message.output_text.logprobs', 'reasoning.encrypted_content'],
      top_logprobs: 2,
      temperature: 0,
      metadata: { a: 'b' },
    })
    for (const name of ['max_tokens', 'seed', 'mock', 'logprobs', 'response_format', 'messages'])
      expect(body).not.toHaveProperty(name)
  })

  it('has tools and the choice among them', () => {
    const called = { name: 'f', parameters: { type: 'object', properties: {} } }
    const grammar = { syntax: 'lark', definition: 'start: "a"' }
    const custom = { name: 'c', format: { type: 'grammar', grammar } }
    const tools = [
      { type: 'function', function: called },
      { type: 'function', function: { ...called, strict: true } },
      { type: 'custom', custom },
    ]
    const choice = { type: 'function', function: { name: 'f' } }
    expect(convert({ tools, tool_choice: choice, parallel_tool_calls: false })).toMatchObject({
      tools: [
        { type: 'function', ...called, strict: false },
        { type: 'function', ...called, strict: true },
        { type: 'custom', name: 'c', format: { type: 'grammar', ...grammar } },
      ],
      tool_choice: { type: 'function', name: 'f' },
      parallel_tool_calls: false,
    })
    const allowed = { mode: 'required', tools: [choice, { type: 'custom', custom: { name: 'c' } }] }
    expect(convert({ tools, tool_choice: { type: 'allowed_tools', allowed_tools: allowed } }).tool_choice).toEqual({
      type: 'allowed_tools',
      mode: 'required',
      tools: [
        { type: 'function', name: 'f' },
        { type: 'custom', name: 'c' },
      ],
    })
  })

  it('has all parts of messages', () => {
    const content = [
      { type: 'text', text: 'Look:' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } },
      { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
      { type: 'file', file: { file_data: 'data:application/pdf;base64,AA', filename: 'a.pdf' } },
      { type: 'file', file: { file_id: 'file-1' } },
    ]
    const messages = [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content },
    ]
    expect(convert({ messages })).toMatchObject({
      instructions: 'Be brief.',
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'Look:' },
            { type: 'input_image', image_url: 'data:image/png;base64,AA', detail: 'auto' },
            { type: 'input_image', image_url: 'https://example.com/a.png', detail: 'low' },
            { type: 'input_file', file_data: 'data:application/pdf;base64,AA', filename: 'a.pdf' },
            { type: 'input_file', file_id: 'file-1' },
          ],
        },
      ],
    })
    expect(convert({ messages: [{ role: 'system', content: 'Alone.' }] }).input).toEqual([
      { type: 'message', role: 'system', content: 'Alone.' },
    ])
  })

  it('has no thoughts of other vendors', () => {
    const reasoning_details = [
      { type: 'reasoning.text', text: 'Hm.', signature: 's', format: 'anthropic-claude-v1' },
      { type: 'reasoning.encrypted', data: 'theirs', format: 'anthropic-claude-v1' },
      { type: 'reasoning.encrypted', data: 'ours', format: 'openai-responses-v1' },
    ]
    const answer = { role: 'assistant', content: 'Yes.', reasoning_content: 'Hm.', reasoning_details, refusal: null }
    expect(convert({ messages: [user, answer, user] }).input).toEqual([
      { type: 'message', ...user },
      { type: 'reasoning', summary: [], encrypted_content: 'ours' },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Yes.', annotations: [] }] },
      { type: 'message', ...user },
    ])
  })

  it('from a client of the same API is as it was, less what only the gateway or another vendor reads', () => {
    const input = [
      { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'sluice:signed:abc' },
      { type: 'reasoning', id: 'rs_2', summary: [{ type: 'summary_text', text: 'Hm.' }] },
      { type: 'reasoning', id: 'rs_3', summary: [], encrypted_content: 'gAAA' },
      { type: 'web_search_call', id: 'ws_1', status: 'completed' },
      { id: 'msg_1', role: 'user', content: 'Hi!' },
    ]
    const own = { truncation: 'auto', tool_choice: { type: 'mcp', server_label: 's' }, client_metadata: { a: 'b' } }
    const body = { ...own, model: 'public', input, previous_response_id: 'resp_1', background: true, stream: false }
    const original = { ...request({}), [ORIGINAL]: { body } }
    expect(checkResponse(original, openai)).toEqual([])
    expect(toResponseBody(original, openai)).toEqual({
      ...own,
      model: 'gpt-5',
      input: [
        { type: 'reasoning', summary: [], encrypted_content: 'gAAA' },
        { type: 'web_search_call', id: 'ws_1', status: 'completed' },
        { role: 'user', content: 'Hi!' },
      ],
      store: false,
      stream: true,
      include: ['reasoning.encrypted_content'],
    })
    const other = serverAt('http://localhost:8000/v1')
    expect(toResponseBody(original, other).input).toHaveLength(4)
  })

  it('names what is left out, and refuses what changes the answer', () => {
    const advisory = { seed: 1, stop: ['x'], frequency_penalty: 1, logit_bias: { a: 1 } }
    expect(checkResponse(request(advisory), openai).toSorted()).toEqual(Object.keys(advisory).toSorted())
    const long = { metadata: { a: 'b'.repeat(600) } }
    expect(checkResponse(request(long), openai)).toEqual(['metadata'])
    expect(convert(long)).not.toHaveProperty('metadata')
    expect(faultOf({ n: 2 })).toBe('n')
    expect(faultOf({ audio: { voice: 'a' } })).toBe('audio')
    expect(faultOf({ functions: [{ name: 'f' }] })).toBe('functions')
    expect(faultOf({ messages: [user, { role: 'function', name: 'f', content: 'x' }] })).toBe('messages[1]')
    expect(checkResponse(request({ n: 1 }), openai)).toEqual([])
  })
})

describe('the option api', () => {
  it.each([
    ['gpt-5', 'gpt-5', true],
    ['gpt-5*', 'gpt-5-mini', true],
    ['gpt-5*', 'xgpt-5', false],
    ['*/gpt-*-codex', 'openai/gpt-5-codex', true],
    ['a*a', 'a', false],
    ['a*b*c', 'axxbxxc', true],
    ['a*b*bc', 'abc', false],
    ['*', '', true],
  ])('%s and the model %s: %s', (pattern, model, matches) => {
    expect(usesResponses({ [pattern]: 'responses' }, OPENAI)(model, false)).toBe(matches)
  })

  it('may be one for all; the first pattern decides', () => {
    expect(usesResponses('chat', OPENAI)('m', true)).toBe(false)
    expect(usesResponses('responses', OPENAI)('m', false)).toBe(true)
    const uses = usesResponses({ 'gpt-5-chat*': 'chat', 'gpt-5*': 'responses' }, OPENAI)
    expect([uses('gpt-5-chat-latest', true), uses('gpt-5', true)]).toEqual([false, true])
  })

  it.each([
    ['https://api.openai.com/v1', true],
    ['https://eu.api.openai.com/v1', true],
    ['https://api.openai.com.example/v1', false],
    ['http://127.0.0.1:8000/v1', false],
  ])('is by default that of the request at %s: %s', (baseUrl, takesResponses) => {
    const uses = usesResponses(undefined, baseUrl)
    expect([uses('gpt-5', true), uses('gpt-5', false)]).toEqual([takesResponses, false])
  })

  it('is checked with the configuration', () => {
    const parse = (api: unknown) => providerConfigSchema.safeParse({ type: 'openai', api })
    expect(parse({ 'gpt-5*': 'responses' }).success).toBe(true)
    expect(parse('completions').error?.issues[0]).toMatchObject({ path: ['api'] })
  })
})
