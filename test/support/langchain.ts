import type { BaseLanguageModelInput } from '@langchain/core/language_models/base'
import type { BaseChatModel, BaseChatModelCallOptions } from '@langchain/core/language_models/chat_models'
import { AIMessage, HumanMessage, ToolMessage, type AIMessageChunk, type BaseMessage } from '@langchain/core/messages'
import { collect } from './both-ways.ts'

export const tools = [
  {
    type: 'function' as const,
    function: {
      name: 'get_weather',
      description: 'The weather in a city.',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
  { type: 'function' as const, function: { name: 'get_time', parameters: { type: 'object', properties: {} } } },
]

/** A conversation in which two tools were called and have answered. */
export const toolMessages = [
  new HumanMessage('What is the weather in Köln and in Bonn?'),
  new AIMessage({
    content: 'Let me look.',
    tool_calls: ['Köln', 'Bonn'].map((city, i) => ({ id: `call_${i}`, name: 'get_weather', args: { city } })),
  }),
  new ToolMessage({ tool_call_id: 'call_0', content: 'sunny' }),
  new ToolMessage({ tool_call_id: 'call_1', content: 'no such city', status: 'error' }),
]

export const imageMessages = [
  new HumanMessage({
    content: [
      { type: 'text', text: 'What do they show?' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
      { type: 'image_url', image_url: { url: 'https://example.com/cat.webp' } },
    ],
  }),
]

type Call = (model: BaseChatModel, input: BaseLanguageModelInput, options: BaseChatModelCallOptions) => Promise<unknown>

/** What a model reports: in one piece, and of the chunks of a stream what they are together and what each tells. */
export const calls: Record<string, Call> = {
  invoke: async (model, input, options) => report(await model.invoke(input, options)),
  async stream(model, input, options) {
    const chunks = await collect<AIMessageChunk>(await model.stream(input, options))
    return { text: chunks.map(({ text }) => text).join(''), message: report(chunks.reduce((a, b) => a.concat(b))) }
  },
}

function report(message: BaseMessage): unknown {
  const { id, content, additional_kwargs, response_metadata } = message
  const { tool_calls, invalid_tool_calls, usage_metadata } = message as AIMessage
  return {
    id,
    content: Array.isArray(content) ? content.map(withInput) : content,
    additional_kwargs,
    response_metadata,
    tool_calls,
    invalid_tool_calls,
    usage_metadata,
  }
}

/** A call without arguments has an empty object, which another says by leaving it out. */
function withInput(part: Record<string, unknown>): Record<string, unknown> {
  return part.type === 'input_json_delta' && part.input === '' ? { ...part, input: '{}' } : part
}
