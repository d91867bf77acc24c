// Clients that come back by themselves, each in its own way.

import { setTimeout as delay } from 'node:timers/promises'
import OpenAI from 'openai'
import { createParser } from 'eventsource-parser'
import { createClient, SluiceClientError } from '../../src/client/index.ts'
import { openPage, textOf } from '../support/ui-chat.ts'

/** What the mock is asked for. */
export interface Question {
  text: string
  interval_ms: number
  first_token_ms?: number
}

/** How an answer ended for its reader: all of it, or with the failure that its node was stopped. */
export interface Outcome {
  as: 'whole' | 'shutdown'
  text: string
  /** Connections beyond the first. */
  resumes: number
  /** Whether the stream was started again, since nothing of it had come. */
  isSecond: boolean
}

export interface RunningClient {
  /** The gateway has responded. */
  started: Promise<unknown>
  outcome: Promise<Outcome>
}

/** The message of `gateway_shutdown`, which is all that some protocols have of it. */
const SHUT_DOWN = 'The gateway was shut down.'
const PAUSE_MS = 100

const ended = (text: string, message: string | undefined, resumes: number): Outcome => {
  if (message !== undefined && message !== SHUT_DOWN) throw new Error(message)
  return { as: message === undefined ? 'whole' : 'shutdown', text, resumes, isSecond: false }
}

export function startSdk(url: string, mock: Question, idempotencyKey: string): RunningClient {
  let [resumes, isSecond] = [-1, false]
  const stream = createClient({ baseUrl: url }).chat(
    { messages: [{ role: 'user', content: 'hi' }], mock },
    {
      idempotencyKey,
      onActivity(activity) {
        if (activity.type === 'request') resumes += 1
        if (activity.type === 'disconnect' && activity.reason === 'unreadable') isSecond = true
      },
    },
  )
  const read = async (): Promise<Outcome> => {
    let [text, last] = ['', 0]
    try {
      for await (const event of stream) {
        if (event.seq <= last) throw new Error(`${event.seq} came after ${last}`)
        last = event.seq
        if (event.type === 'delta') text += event.content ?? ''
      }
    } catch (error) {
      if (!(error instanceof SluiceClientError && error.code === 'gateway_shutdown' && error.retryable)) throw error
      return { as: 'shutdown', text, resumes, isSecond }
    }
    return { as: 'whole', text, resumes, isSecond }
  }
  return { started: stream.id, outcome: read() }
}

/** OpenAI's package: a response in the background, read again with `starting_after`. */
export function startResponses(url: string, mock: Question): RunningClient {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key' })
  const body = { model: 'mock', input: 'hi', stream: true as const, background: true, mock }
  const started = openai.responses.create(body).withResponse()
  const read = async () => {
    const { data, response } = await started
    const id = String(response.headers.get('sluice-stream-id')).replace('str_', 'resp_')
    let [text, last, resumes, message] = ['', 0, 0, undefined as string | undefined]
    for (let events: AsyncIterable<OpenAI.Responses.ResponseStreamEvent> = data; ;) {
      try {
        for await (const event of events) {
          if (event.sequence_number <= last) throw new Error(`${event.sequence_number} came after ${last}`)
          last = event.sequence_number
          if (event.type === 'response.output_text.delta') text += event.delta
          if (event.type === 'error') message = event.message
          if (event.type === 'response.completed' || event.type === 'response.failed')
            return ended(text, event.response.error?.message ?? message, resumes)
        }
      } catch (error) {
        if (!isNetwork(error)) throw error
      }
      resumes += 1
      events = await untilAnswered(() => openai.responses.retrieve(id, { stream: true, starting_after: last }))
    }
  }
  return { started, outcome: read() }
}

/** The AI SDK's chat, as `useChat` has it: resumes its chat from the beginning. */
export function startPage(url: string, mock: Question, id: string): RunningClient {
  let respond = () => {}
  const started = new Promise<void>((resolve) => (respond = resolve))
  const page = openPage(url, {
    id,
    body: { mock },
    fetch: async (...request) => {
      const response = await fetch(...request)
      respond()
      return response
    },
  })
  const read = async () => {
    await page.sendMessage({ text: 'hi' })
    for (let resumes = 0; ; resumes++) {
      const text = page.lastMessage?.role === 'assistant' ? textOf(page.lastMessage) : ''
      if (page.error?.message === SHUT_DOWN) return ended(text, SHUT_DOWN, resumes)
      if (text === mock.text) return ended(text, undefined, resumes)
      // The answer ended while the page was away, so that there is nothing to resume: it is loaded as a whole.
      if (page.status === 'ready' && resumes > 0) return readChunks(`${url}/v1/ui/chat/${id}`, undefined, resumes)
      await delay(PAUSE_MS)
      await page.resumeStream()
    }
  }
  return { started, outcome: read() }
}

/** As `WorkflowChatTransport` does: counts its chunks, and asks for the others. */
export function startCounting(url: string, mock: Question): RunningClient {
  const messages = [{ role: 'user', parts: [{ type: 'text', text: 'hi' }] }]
  const started = fetch(`${url}/v1/ui/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages, mock }),
  })
  const read = async () => {
    const response = await started
    return readChunks(`${url}/v1/ui/chat/${response.headers.get('x-workflow-run-id')}`, response, 0)
  }
  return { started, outcome: read() }
}

interface Chunk {
  type: string
  delta?: string
  errorText?: string
}

async function readChunks(address: string, first: Response | undefined, earlier: number): Promise<Outcome> {
  const chunks: Chunk[] = []
  let resumes = earlier
  const ask = () => fetch(`${address}/stream?startIndex=${chunks.length}`)
  for (let response = first ?? (await untilAnswered(ask)); ; response = await untilAnswered(ask), resumes++) {
    const parser = createParser({
      onEvent: ({ data }) => {
        if (data !== '[DONE]') chunks.push(JSON.parse(data))
      },
    })
    try {
      for await (const text of response.body!.pipeThrough(new TextDecoderStream())) parser.feed(text)
    } catch (error) {
      if (!isNetwork(error)) throw error
    }
    const error = chunks.find(({ type }) => type === 'error')
    const text = chunks.map(({ type, delta = '' }) => (type === 'text-delta' ? delta : '')).join('')
    if (error || chunks.at(-1)?.type === 'finish') return ended(text, error?.errorText, resumes)
  }
}

/** What a gateway that drains refuses, and what nobody answers, is asked for again. */
async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    await delay(PAUSE_MS)
    try {
      const answer = await ask()
      if (!(answer instanceof Response) || answer.ok) return answer
      if (answer.status !== 503) throw new Error(`It answered ${answer.status}`)
    } catch (error) {
      if (!isNetwork(error)) throw error
    }
  }
}

function isNetwork(error: unknown): boolean {
  if (error instanceof OpenAI.APIError) return error instanceof OpenAI.APIConnectionError || error.status === 503
  return error instanceof TypeError || (error instanceof Error && 'code' in error && error.code === 'ECONNRESET')
}
