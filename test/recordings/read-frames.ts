import { createParser } from 'eventsource-parser'
import { isRecord, type Fields } from '../../src/json.ts'
import type { Wire } from './recording.ts'

/** Which URL, and what the body says besides the model. */
export interface Call {
  url: string
  model: string
  accept?: string
}

export interface Frame {
  event: string
  data: Fields
}

/** The body that each wire requires at least. Usage is requested, since providers send it anyway. */
export function requestBody(wire: Wire | 'native', model: string, stream: boolean): Fields {
  const messages = [{ role: 'user', content: 'Hi!' }]
  if (wire === 'native') return { model, messages }
  if (wire === 'anthropic') return { model, messages, max_tokens: 4096, stream }
  return { model, messages, stream, ...(stream && { stream_options: { include_usage: true } }) }
}

/** POSTs, and throws on a status that is not 200. */
export async function post(url: string, body: Fields, signal: AbortSignal, accept = '*/*'): Promise<Response> {
  const headers = { 'content-type': 'application/json', accept, 'anthropic-version': '2023-06-01' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body), signal })
  if (response.status !== 200) throw new Error(`status ${response.status}: ${await response.text()}`)
  return response
}

/** The events of a stream with JSON in their data, up to `[DONE]`, where clients stop reading. */
export async function readFrames(response: Response): Promise<Frame[]> {
  const frames: Frame[] = []
  let done = false
  const parser = createParser({
    onEvent({ event = 'message', data }) {
      done ||= data === '[DONE]'
      const parsed: unknown = data.startsWith('{') ? JSON.parse(data) : undefined
      if (!done && isRecord(parsed)) frames.push({ event, data: parsed })
    },
  })
  parser.feed(await response.text())
  // Some providers omit the last blank line, and most clients accept that.
  parser.feed('\n\n')
  return frames
}
