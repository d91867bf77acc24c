import { expect, it } from 'vitest'
import { parseChat } from '../../src/chat-request.ts'
import { openaiChat } from '../../src/protocols/openai/chat.ts'

/** As Python's SDK prints them: `response.choices[0].message.model_dump()`. */
const printed = {
  role: 'assistant',
  content: null,
  refusal: null,
  annotations: null,
  audio: null,
  function_call: null,
  reasoning: null,
  name: null,
  tool_calls: [
    { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":null}', strict: null }, index: null },
  ],
}
const parameters = { type: 'object', properties: { x: { default: null } } }
const body = {
  model: 'm',
  messages: [
    {
      role: 'user',
      content: [{ type: 'image_url', text: null, image_url: { url: 'data:,', detail: null } }],
      name: null,
    },
    printed,
    { role: 'tool', tool_call_id: 'a', content: '1', name: null },
    { role: 'assistant', content: 'Done.', tool_calls: null },
  ],
  tools: [{ type: 'function', function: { name: 'f', description: null, parameters, strict: null } }],
  tool_choice: null,
  parallel_tool_calls: null,
  response_format: null,
  user: null,
  temperature: null,
  reasoning_effort: null,
  functions: null,
  unheard_of: null,
}
const meant = {
  model: 'm',
  messages: [
    { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":null}' } }],
    },
    { role: 'tool', tool_call_id: 'a', content: '1' },
    { role: 'assistant', content: 'Done.' },
  ],
  tools: [{ type: 'function', function: { name: 'f', parameters } }],
}

it('null means the same as omitting an optional field, however deep', () => {
  expect(parseChat(body)).toEqual(meant)
  const { input } = openaiChat.parse({ ...body, stream: null, stream_options: { include_usage: null } }, {})
  expect(input).toEqual(meant)
})

it('a message that needs content is refused when it is null', () => {
  const missing = { messages: [{ role: 'user', content: null }] }
  expect(() => parseChat(missing)).toThrow('messages[0].content')
})

it('a call without a type is one of a function', () => {
  const call = { id: 'a', function: { name: 'f', arguments: '' } }
  expect(parseChat({ messages: [{ role: 'assistant', tool_calls: [call] }] }).messages[0]?.tool_calls).toEqual([
    { ...call, type: 'function' },
  ])
})

it('takes a limit of -1 for none, as LM Studio does', () => {
  const messages = [{ role: 'user', content: 'hi' }]
  const { max_tokens, max_completion_tokens } = parseChat({ messages, max_tokens: -1, max_completion_tokens: -1 })
  expect([max_tokens, max_completion_tokens]).toEqual([undefined, undefined])
  expect(() => parseChat({ messages, max_tokens: -2 })).toThrow('max_tokens')
})
