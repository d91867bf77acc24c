import { expect, it } from 'vitest'
import { toChatRequest } from '../../providers/openai/openai.ts'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'

const cache_control = { type: 'ephemeral' }

it('a request of Anthropic’s, less what only Anthropic reads', () => {
  const { input } = anthropicMessages.parse(
    {
      model: 'm',
      max_tokens: 10,
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
    },
    {},
  )
  expect(toChatRequest({ ...input, model: 'gpt' })).toEqual({
    model: 'gpt',
    max_tokens: 10,
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
    messages: [
      { role: 'system', content: [{ type: 'text', text: 'Be kind' }] },
      { role: 'user', content: [{ type: 'text', text: 'hi' }] },
      {
        role: 'assistant',
        content: [{ type: 'text', text: 'Let me look' }],
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: 'gone' },
    ],
  })
})

it('a request of OpenAI’s, and what has weight, as they are', () => {
  const request = {
    model: 'gpt',
    thinking: { type: 'enabled', budget_tokens: 1024 },
    top_k: 4,
    messages: [
      { role: 'user' as const, content: [{ type: 'document', source: { type: 'text', data: 'x' } }] },
      { role: 'assistant' as const, content: 'a', reasoning_content: 'b' },
    ],
  }
  expect(toChatRequest(request)).toEqual(request)
})
