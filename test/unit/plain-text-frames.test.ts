import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nativeEncoder } from '../../src/protocols/native/native.ts'
import { openaiChat } from '../../src/protocols/openai/chat.ts'
import { initialState, toChunks } from '../../src/protocols/openai/chunks.ts'
import { initialState as initialResponse, toResponseEvents } from '../../src/protocols/responses/events.ts'
import { numberFrames } from '../../src/protocols/responses/numbering.ts'
import { openaiResponses } from '../../src/protocols/responses/responses.ts'
import { EventDecoder } from '../../src/sse/decode.ts'
import { encodeEvent } from '../../src/sse/encode.ts'
import type { StreamInfo } from '../../src/stream/stream-log.ts'

const batch = (seq: number, content: string) => ({
  events: [{ seq, event: { type: 'delta' as const, content } }],
  last: seq,
  count: 1,
})

/** Quotes, line breaks, lone surrogates and all. */
const anyText = fc.string({ unit: 'binary' })

describe('the short way to a frame of nothing but text', () => {
  it('leads to the frame of the long way, in the native protocol', () => {
    fc.assert(
      fc.property(fc.nat(), anyText, (seq, content) => {
        const long = encodeEvent({ id: seq, event: 'delta', data: { content } })
        expect(nativeEncoder.encode(batch(seq, content)).text).toBe(long)
      }),
    )
  })

  it('leads to the chunk of the long way, in openai-chat, whatever the model is called', () => {
    const info = (model: string, include_usage: boolean): StreamInfo => ({
      id: 'str_1',
      owner: 'ada',
      model,
      provider: 'p',
      created: 0,
      labels: include_usage ? { include_usage: 'true' } : {},
    })
    const anyModel = fc.oneof(anyText, fc.constantFrom('"content":"\0"', '\0', '","delta":'))
    fc.assert(
      fc.property(anyModel, fc.boolean(), fc.array(anyText, { minLength: 2, maxLength: 5 }), (model, usage, texts) => {
        let encoder = openaiChat.encoder(info(model, usage))
        let state = initialState(info(model, usage))
        for (const [i, content] of texts.entries()) {
          const { text, frames, next } = encoder.encode(batch(i + 1, content))
          const long = toChunks(batch(i + 1, content).events, state)
          const sent = new EventDecoder().push(Buffer.from(text)).map(({ data }) => JSON.parse(data))
          const chunks = long.eventChunks.flatMap((event) => event.chunks)
          expect(sent).toEqual(chunks.map((chunk) => JSON.parse(JSON.stringify(chunk))))
          expect(frames).toBe(chunks.length)
          encoder = next
          state = long.state
        }
      }),
    )
  })

  it('leads to the events of the long way, in openai-responses', () => {
    fc.assert(
      fc.property(fc.array(anyText, { minLength: 2, maxLength: 5 }), (texts) => {
        const info = { id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0 }
        let encoder = openaiResponses.encoder(info)
        let state = initialResponse(info)
        for (const [i, content] of texts.entries()) {
          const { text, frames, next } = encoder.encode(batch(i + 1, content))
          const long = toResponseEvents({ type: 'delta', content }, state)
          const numbers = numberFrames(long.events.length, i + 1, i + 1)
          const events = long.events.map((event, at) => ({ ...event, sequence_number: numbers[at] }))
          const sent = new EventDecoder().push(Buffer.from(text))
          expect(sent.map(({ data }) => JSON.parse(data))).toEqual(
            events.map((event) => JSON.parse(JSON.stringify(event))),
          )
          expect(sent.map(({ event }) => event)).toEqual(events.map(({ type }) => type))
          expect(frames).toBe(events.length)
          encoder = next
          state = long.state
        }
      }),
    )
  })
})
