import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { chatChunks, type Answer } from './upstream.ts'

type Fields = Record<string, unknown>

/** What a Chat Completions server has to say, in pieces and as a whole. */
export interface Completion {
  choices: { deltas: Fields[]; message: Fields; finish_reason: string; logprobs?: Fields[] }[]
  usage: Fields
}

const head = {
  id: 'chatcmpl-CTx1',
  created: 1_763_000_000,
  model: 'gpt-test',
  service_tier: 'default',
  system_fingerprint: 'fp_1a2b',
}

const START = { role: 'assistant', content: '', refusal: null }

export const USAGE = {
  prompt_tokens: 19,
  completion_tokens: 10,
  total_tokens: 29,
  prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
  completion_tokens_details: {
    reasoning_tokens: 3,
    audio_tokens: 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0,
  },
}

/** One choice that is nothing but this text, in these pieces. */
export function says(pieces: string[], finish_reason = 'stop'): Completion {
  return {
    choices: [
      {
        deltas: [START, ...pieces.map((content) => ({ content }))],
        message: { role: 'assistant', content: pieces.join(''), refusal: null },
        finish_reason,
      },
    ],
    usage: USAGE,
  }
}

const call = (index: number, id: string, name: string) => ({
  index,
  id,
  type: 'function',
  function: { name, arguments: '' },
})
const piece = (index: number, json: string) => ({ tool_calls: [{ index, function: { arguments: json } }] })

export const text = says(['Grüße', ' 👋🏽', ',\nline two.'])
export const cutOff = says(['One, two,', ' three'], 'length')

/** Several calls side by side, their arguments cut where it hurts, one without any. */
export const tools: Completion = {
  choices: [
    {
      deltas: [
        { role: 'assistant', content: null, tool_calls: [call(0, 'call_a', 'get_weather')], refusal: null },
        piece(0, '{"ci'),
        piece(0, 'ty":"K'),
        piece(0, 'öln"}'),
        { tool_calls: [call(1, 'call_b', 'get_time')] },
        piece(1, '{}'),
        { tool_calls: [call(2, 'call_c', 'get_weather')] },
        piece(2, '{"city": "Bo'),
        piece(2, 'nn \\"2\\""}'),
      ],
      message: {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'call_a', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Köln"}' } },
          { id: 'call_b', type: 'function', function: { name: 'get_time', arguments: '{}' } },
          { id: 'call_c', type: 'function', function: { name: 'get_weather', arguments: '{"city": "Bonn \\"2\\""}' } },
        ],
        refusal: null,
      },
      finish_reason: 'tool_calls',
    },
  ],
  usage: USAGE,
}

/** Text, and then a call. */
export const textAndTool: Completion = {
  choices: [
    {
      deltas: [
        START,
        { content: 'Let me ' },
        { content: 'look.' },
        { tool_calls: [call(0, 'call_a', 'get_weather')] },
        piece(0, '{"city":'),
        piece(0, '"Köln"}'),
      ],
      message: {
        role: 'assistant',
        content: 'Let me look.',
        tool_calls: [
          { id: 'call_a', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Köln"}' } },
        ],
        refusal: null,
      },
      finish_reason: 'tool_calls',
    },
  ],
  usage: USAGE,
}

/** As DeepSeek, vLLM and others tell their thoughts. */
export const reasoning: Completion = {
  choices: [
    {
      deltas: [
        START,
        { reasoning_content: 'Let me ' },
        { reasoning_content: 'think.' },
        { content: '4' },
        { content: '2.' },
      ],
      message: { role: 'assistant', content: '42.', reasoning_content: 'Let me think.', refusal: null },
      finish_reason: 'stop',
    },
  ],
  usage: USAGE,
}

export const refusal: Completion = {
  choices: [
    {
      deltas: [START, { refusal: 'I can’t ' }, { refusal: 'help.' }],
      message: { role: 'assistant', content: null, refusal: 'I can’t help.' },
      finish_reason: 'stop',
    },
  ],
  usage: USAGE,
}

const logprob = (token: string) => ({ token, logprob: -0.5, bytes: [...Buffer.from(token)], top_logprobs: [] })

export const logprobs: Completion = {
  choices: [
    {
      deltas: [START, { content: 'Hi' }, { content: '!' }],
      message: { role: 'assistant', content: 'Hi!', refusal: null },
      finish_reason: 'stop',
      logprobs: [logprob('Hi'), logprob('!')],
    },
  ],
  usage: USAGE,
}

export const twoChoices: Completion = {
  choices: [...says(['One', ' way.']).choices, ...says(['Another', ' way', ' out'], 'length').choices],
  usage: USAGE,
}

/** The stream of a completion, as OpenAI sends it: its chunks, and `[DONE]`. */
export function chunksOf({ choices, usage }: Completion, includeUsage: boolean): Fields[] {
  const chunk = (fields: Fields): Fields => ({
    object: 'chat.completion.chunk',
    ...head,
    ...(includeUsage && { usage: null }),
    ...fields,
    obfuscation: 'x7Q',
  })
  const longest = Math.max(...choices.map(({ deltas }) => deltas.length))
  const chunks: Fields[] = []
  for (let i = 0; i <= longest; i++)
    for (const [index, { deltas, finish_reason, logprobs: probabilities }] of choices.entries()) {
      const content = probabilities?.[i - 1]
      const choice = { index, logprobs: content ? { content: [content], refusal: null } : null }
      if (i < deltas.length) chunks.push(chunk({ choices: [{ ...choice, delta: deltas[i], finish_reason: null }] }))
      else if (i === deltas.length) chunks.push(chunk({ choices: [{ ...choice, delta: {}, finish_reason }] }))
    }
  return includeUsage ? [...chunks, chunk({ choices: [], usage })] : chunks
}

export function completionOf({ choices, usage }: Completion): Fields {
  return {
    object: 'chat.completion',
    ...head,
    choices: choices.map(({ message, finish_reason, logprobs: content }, index) => ({
      index,
      message: { ...message, annotations: [] },
      logprobs: content ? { content, refusal: null } : null,
      finish_reason,
    })),
    usage,
  }
}

/** Answers with a stream when one is asked for, else with JSON; usage is in the stream when that is asked for. */
export function answers(completion: Completion): Answer {
  return async (response, { body }) => {
    if (body.stream !== true) return sendJson(response, 200, completionOf(completion))
    for (const chunk of begin(response, completion, body)) {
      response.write(chatChunks(chunk))
      await nextTurn()
    }
    response.end(chatChunks('[DONE]'))
  }
}

/** How an answer that has begun does not come to its end. */
export type Break = 'reset' | 'end' | 'error' | 'silence'

/** Begins an answer, sends this many chunks of it, and then breaks. Whoever asks for no stream is cut off in its JSON. */
export function breaks(completion: Completion, chunks: number, how: Break): Answer {
  return (response, { body }) => {
    if (body.stream !== true) {
      const json = JSON.stringify(completionOf(completion))
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) })
      response.write(json.slice(0, 80), () => void (how !== 'silence' && response.destroy()))
      return
    }
    const sent = chatChunks(...begin(response, completion, body).slice(0, chunks))
    if (how === 'end') response.end(sent)
    else if (how === 'error') response.end(sent + chatChunks({ error: IN_STREAM_ERROR }))
    else response.write(sent, () => void (how === 'reset' && response.destroy()))
  }
}

const IN_STREAM_ERROR = { message: 'The server had an error.', type: 'server_error', param: null, code: null }

function begin(response: ServerResponse, completion: Completion, { stream_options }: Fields): Fields[] {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'x-request-id': 'req_upstream' })
  const options = stream_options as { include_usage?: boolean } | undefined
  return chunksOf(completion, options?.include_usage === true)
}

/** Refuses, as OpenAI does. */
export function refuses(status: number, type: string, headers: Record<string, string> = {}): Answer {
  return (response) => {
    const error = { message: `Told so: ${type}.`, type, param: null, code: null }
    sendJson(response, status, { error }, { 'x-request-id': 'req_upstream', ...headers })
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}
