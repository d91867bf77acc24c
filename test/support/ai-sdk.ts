import {
  generateText,
  jsonSchema,
  streamText,
  tool,
  type LanguageModel,
  type ModelMessage,
  type TextStreamPart,
  type ToolSet,
} from 'ai'

type Options = Parameters<typeof streamText>[0]

/** What is asked, of whichever model. */
export type Asked = Partial<
  Pick<
    Options,
    | 'system'
    | 'tools'
    | 'toolChoice'
    | 'stopSequences'
    | 'maxOutputTokens'
    | 'temperature'
    | 'topP'
    | 'topK'
    | 'seed'
    | 'frequencyPenalty'
    | 'presencePenalty'
    | 'providerOptions'
    | 'output'
  >
> & { messages?: ModelMessage[] }

const hello: ModelMessage[] = [{ role: 'user', content: 'Hi!' }]

export const tools: ToolSet = {
  get_weather: tool({
    description: 'The weather in a city.',
    inputSchema: jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }),
  }),
  get_time: tool({ inputSchema: jsonSchema({ type: 'object', properties: {} }) }),
}

/** A conversation in which two tools were called and have answered. */
export const toolMessages: ModelMessage[] = [
  { role: 'user', content: 'What is the weather in Köln and in Bonn?' },
  {
    role: 'assistant',
    content: [
      { type: 'text', text: 'Let me look.' },
      ...['Köln', 'Bonn'].map((city, i) => ({
        type: 'tool-call' as const,
        toolCallId: `call_${i}`,
        toolName: 'get_weather',
        input: { city },
      })),
    ],
  },
  {
    role: 'tool',
    content: [
      {
        type: 'tool-result',
        toolCallId: 'call_0',
        toolName: 'get_weather',
        output: { type: 'text', value: 'sunny' },
      },
      {
        type: 'tool-result',
        toolCallId: 'call_1',
        toolName: 'get_weather',
        output: { type: 'error-text', value: 'no such city' },
      },
    ],
  },
]

export const imageMessages: ModelMessage[] = [
  {
    role: 'user',
    content: [
      { type: 'text', text: 'What is it?' },
      { type: 'image', image: Buffer.from('iVBORw0KGgo=', 'base64'), mediaType: 'image/png' },
      { type: 'file', data: Buffer.from('%PDF-'), mediaType: 'application/pdf', filename: 'a.pdf' },
    ],
  },
]

/** All that `generateText` reports, less what belongs to the connection. */
export async function generate(model: LanguageModel, asked: Asked): Promise<unknown> {
  const { content, text, reasoningText, toolCalls, steps, totalUsage, sources, warnings } = await generateText({
    messages: hello,
    ...asked,
    model,
    maxRetries: 0,
  })
  const ends = steps.map(({ finishReason, rawFinishReason, usage, providerMetadata, response }) => ({
    finishReason,
    rawFinishReason,
    usage,
    providerMetadata,
    response: { id: response.id, modelId: response.modelId, messages: response.messages },
  }))
  return { content, text, reasoningText, toolCalls, totalUsage, sources, warnings, ends }
}

/** All that `streamText` reports, in parts and at its end, less what belongs to the connection. */
export async function stream(model: LanguageModel, asked: Asked): Promise<unknown> {
  const result = streamText({ messages: hello, ...asked, model, maxRetries: 0, onError: () => {} })
  const parts: TextStreamPart<ToolSet>[] = []
  for await (const part of result.fullStream) {
    if (part.type === 'error') throw part.error
    parts.push(part)
  }
  return {
    parts: fold(parts),
    content: await result.content,
    text: await result.text,
    reasoningText: await result.reasoningText,
    toolCalls: await result.toolCalls,
    sources: await result.sources,
    usage: await result.totalUsage,
    finishReason: await result.finishReason,
    providerMetadata: await result.providerMetadata,
    messages: (await result.response).messages,
  }
}

/** The parts, with those that continue a text joined: where it is cut is the network’s business. */
function fold(parts: TextStreamPart<ToolSet>[]): object[] {
  const folded: Record<string, unknown>[] = []
  for (const part of parts) {
    const field = part.type === 'tool-input-delta' ? 'delta' : 'text'
    const last = folded.at(-1)
    if (part.type.endsWith('-delta') && last?.type === part.type && 'id' in part && last.id === part.id)
      last[field] = `${String(last[field])}${String((part as Record<string, unknown>)[field])}`
    else folded.push(toPart(part))
  }
  return folded.filter((part) => part.delta !== '{}' && part.delta !== '')
}

function toPart(part: TextStreamPart<ToolSet>): Record<string, unknown> {
  if (part.type === 'start-step') return { type: part.type, warnings: part.warnings }
  if (part.type !== 'finish-step') return { ...part }
  const { id, modelId } = part.response
  // AI SDK 7 also tells how long it all took.
  return { ...part, performance: undefined, response: { id, modelId } }
}
