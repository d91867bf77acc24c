import { setImmediate as nextTurn } from 'node:timers/promises'
import { recordings, sdkMessage } from '../unit/anthropic-recordings.ts'
import type { Break } from './openai-upstream.ts'
import type { Answer } from './upstream.ts'

// A Messages server that plays recordings: see test/fixtures/anthropic.

const STREAM = { 'content-type': 'text/event-stream; charset=utf-8', 'request-id': 'req_upstream' }
const JSON_TYPE = { 'content-type': 'application/json', 'request-id': 'req_upstream' }

/** The events of a recording, each a whole frame. */
export function framesOf(recording: string): string[] {
  const frames = new TextDecoder().decode(recordings[recording]).split(/\n\n(?=.)/)
  return frames.map((frame) => `${frame.trimEnd()}\n\n`)
}

/** Answers with a recording: as a stream when one is asked for, else as the message that it adds up to. */
export function answers(recording: string): Answer {
  return async (response, { body }) => {
    if (body.stream !== true) {
      response.writeHead(200, JSON_TYPE).end(await messageOf(recording))
      return
    }
    response.writeHead(200, STREAM)
    for (const frame of framesOf(recording)) {
      response.write(frame)
      await nextTurn()
    }
    response.end()
  }
}

/** Begins an answer, sends this many events of it, and then breaks. Whoever asks for no stream is cut off in its JSON. */
export function breaks(recording: string, events: number, how: Break): Answer {
  return async (response, { body }) => {
    if (body.stream !== true) {
      const json = await messageOf(recording)
      response.writeHead(200, { ...JSON_TYPE, 'content-length': Buffer.byteLength(json) })
      response.write(json.slice(0, 80), () => void (how !== 'silence' && response.destroy()))
      return
    }
    response.writeHead(200, STREAM)
    const sent = framesOf(recording).slice(0, events).join('')
    if (how === 'end') response.end(sent)
    else if (how === 'error') response.end(`${sent}event: error\ndata: ${errorBody('api_error')}\n\n`)
    else response.write(sent, () => void (how === 'reset' && response.destroy()))
  }
}

/** What Anthropic's own SDK adds up, without the field that it adds. */
async function messageOf(recording: string): Promise<string> {
  const message = await sdkMessage(recordings[recording]!)
  return JSON.stringify(message, (name, value: unknown) => (name === 'parsed_output' ? undefined : value))
}

/** Refuses, as Anthropic does. */
export function refuses(status: number, type: string, headers: Record<string, string> = {}): Answer {
  return (response) => void response.writeHead(status, { ...JSON_TYPE, ...headers }).end(errorBody(type))
}

function errorBody(type: string): string {
  return JSON.stringify({ type: 'error', error: { type, message: `Told so: ${type}.` }, request_id: 'req_upstream' })
}
