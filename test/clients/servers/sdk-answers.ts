import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'

/** What a model is asked: the same tokens each time, up to a number of them. */
export interface Asked {
  model: string
  maxTokens: number
  prompt?: string
  /** Which not every protocol has. */
  seed?: number
  stop?: string[]
  signal?: AbortSignal
}

/** What is the same in every protocol. */
export interface Told {
  text: string
  finish: string | null | undefined
  inputTokens: number | undefined
  outputTokens: number | undefined
}

export type Ask = (origin: string, asked: Asked) => Promise<Told>

export const PROMPT = 'Grüße 👋🏽'

function messagesOf(content = PROMPT) {
  return [{ role: 'user' as const, content }]
}

function chat(origin: string) {
  return new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'key', maxRetries: 0 }).chat.completions
}

/** A whole answer, as OpenAI's SDK has it. */
export function completion(
  origin: string,
  more: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> & { model: string },
): Promise<OpenAI.ChatCompletion> {
  return chat(origin).create({ messages: messagesOf(), temperature: 0, ...more })
}

function openaiBody({ model, prompt, maxTokens, seed, stop }: Asked) {
  const messages = messagesOf(prompt)
  return { model, messages, temperature: 0, max_tokens: maxTokens, ...(seed && { seed }), ...(stop && { stop }) }
}

function toldByOpenAI(text: string, finish: Told['finish'], usage: OpenAI.CompletionUsage | null | undefined): Told {
  return { text, finish, inputTokens: usage?.prompt_tokens, outputTokens: usage?.completion_tokens }
}

function claude(origin: string) {
  return new Anthropic({ baseURL: origin, apiKey: 'key', maxRetries: 0 }).messages
}

function anthropicBody({ model, prompt, maxTokens, stop }: Asked) {
  const messages = messagesOf(prompt)
  return { model, messages, temperature: 0, max_tokens: maxTokens, ...(stop && { stop_sequences: stop }) }
}

function toldByAnthropic({ content, stop_reason, usage }: Anthropic.Message): Told {
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('')
  return { text, finish: stop_reason, inputTokens: usage.input_tokens, outputTokens: usage.output_tokens }
}

/** How the official SDKs ask, streamed and in one piece. */
export const ASKS = {
  openai: {
    async streamed(origin, asked) {
      const params = { ...openaiBody(asked), stream: true as const, stream_options: { include_usage: true } }
      let [text, finish, usage]: [string, Told['finish'], OpenAI.CompletionUsage | undefined] = ['', null, undefined]
      for await (const chunk of await chat(origin).create(params, { signal: asked.signal })) {
        text += chunk.choices[0]?.delta.content ?? ''
        finish = chunk.choices[0]?.finish_reason ?? finish
        usage = chunk.usage ?? usage
      }
      return toldByOpenAI(text, finish, usage)
    },
    async whole(origin, asked) {
      const { choices, usage } = await chat(origin).create(openaiBody(asked), { signal: asked.signal })
      return toldByOpenAI(choices[0]?.message.content ?? '', choices[0]?.finish_reason, usage)
    },
  },
  anthropic: {
    streamed: async (origin, asked) =>
      toldByAnthropic(await claude(origin).stream(anthropicBody(asked), { signal: asked.signal }).finalMessage()),
    whole: async (origin, asked) =>
      toldByAnthropic(await claude(origin).create(anthropicBody(asked), { signal: asked.signal })),
  },
} satisfies Record<string, Record<string, Ask>>
