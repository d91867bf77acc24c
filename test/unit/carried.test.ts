import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { collectMessage as collectInClient } from '../../src/client/message.ts'
import { openaiChat } from '../../src/protocols/openai/chat.ts'
import { initialState, toChunks } from '../../src/protocols/openai/chunks.ts'
import { collectMessage } from '../../src/protocols/native/native.ts'
import type { Delta, Done, StreamEvent } from '../../src/stream/events.ts'
import { CarriedCollector, type Carried } from '../../src/wires/carried.ts'
import { answers, eventsOf, logOf } from './anthropic-recordings.ts'
import { chunk, read } from './read-chunks.ts'

const done: Done = { type: 'done', finish_reason: 'stop' }
const carrying = (carried: Carried): Delta => ({ type: 'delta', carried })

function chunksOf(events: readonly StreamEvent[]) {
  const sequenced = events.map((event, i) => ({ seq: i + 1, event }))
  const { eventChunks } = toChunks(sequenced, initialState(logOf([]).info))
  return eventChunks.flatMap(({ chunks }) => chunks)
}

describe('fields of an OpenAI stream that are not modelled', () => {
  const names = ['x', 'provider', 'logprobs', 'citations', 'stop_reason', 'token_ids', 'annotations']
  const anyFields = fc.dictionary(fc.constantFrom(...names), fc.constantFrom<unknown>(1, 'a', [1], { a: 1 }), {
    minKeys: 1,
  })

  it('come out at the level where they came in, whatever their names', () => {
    fc.assert(
      fc.property(anyFields, anyFields, anyFields, (ofDelta, ofChoice, ofChunk) => {
        const last = chunksOf(read(chunk({ ...ofDelta, role: 'assistant', content: 'a' }, ofChoice, ofChunk))).at(-1)
        expect(last).toEqual({
          ...initialState(logOf([]).info).head,
          ...ofChunk,
          choices: [
            { index: 0, delta: { role: 'assistant', content: 'a', ...ofDelta }, finish_reason: null, ...ofChoice },
          ],
        })
      }),
    )
  })

  // Servers repeat an id, a type or a signature with each piece.
  it('that are repeated in full are not glued together', async () => {
    const audio = (data: string) => chunk({ audio: { id: 'audio_1', data }, type: 'text' })
    const signed = (text: string) =>
      chunk({
        tool_calls: [
          {
            index: 0,
            id: 'c',
            function: { name: 'f', arguments: text },
            extra_content: { google: { thought_signature: 'S' } },
          },
        ],
      })
    const whole = await openaiChat.renderWhole(logOf([...read(audio('a'), audio('b'), signed('{'), signed('}')), done]))
    expect(whole).toMatchObject({
      choices: [
        {
          message: {
            audio: { id: 'audio_1', data: 'ab' },
            type: 'text',
            tool_calls: [
              { function: { name: 'f', arguments: '{}' }, extra_content: { google: { thought_signature: 'S' } } },
            ],
          },
        },
      ],
    })
  })

  it('of a tool call come out in it', () => {
    const call = { index: 0, id: 'c', function: { name: 'f', arguments: '{}' }, extra_content: { google: 's' } }
    expect(chunksOf(read(chunk({ tool_calls: [call] })))).toMatchObject([
      { choices: [{ delta: { tool_calls: [{ id: 'c', extra_content: { google: 's' } }] } }] },
    ])
  })

  it('from a module take no place of what is modelled', async () => {
    const log = logOf([{ ...carrying({ openai: { choice: { index: 7, delta: null, x: 1 } } }), content: 'a' }, done])
    expect(await openaiChat.renderWhole(log)).toMatchObject({
      choices: [{ index: 0, message: { content: 'a' }, x: 1 }],
    })
  })
})

describe('chunks of an answer that comes from Anthropic', () => {
  it.each(answers)('have nothing of its wire beside the id, the model and translations: %s', (name) => {
    const events = eventsOf(name)
    const chunks = chunksOf(events)
    for (const { id, object: _, created: __, model, choices, ...rest } of chunks) {
      expect([id, model]).toEqual([expect.any(String), expect.any(String)])
      expect(rest).toEqual({})
      for (const { index: ___, delta, finish_reason: ____, ...more } of choices) {
        expect(more).toEqual({})
        const fields = ['role', 'content', 'reasoning_content', 'tool_calls', 'annotations', 'reasoning_details']
        expect(fields).toEqual(expect.arrayContaining(Object.keys(delta)))
      }
    }
  })
})

describe('a message', () => {
  it('has the last of each field, and all of the fields that grow', async () => {
    const twice = { list: [1], text: 'a', x: { a: [1] } }
    const carried: Carried = {
      openai: { chunk: twice, choice: { ...twice, logprobs: { content: [1] } }, delta: twice },
    }
    const message = await collectMessage(logOf([carrying(carried), carrying(carried)]))
    expect(message.carried).toEqual({
      openai: {
        chunk: twice,
        choice: { ...twice, logprobs: { content: [1, 1] } },
        delta: { list: [1, 1], text: 'aa', x: { a: [1, 1] } },
      },
    })
  })

  it('does not change when more is added to it', () => {
    const collector = new CarriedCollector()
    const carried: Carried = { openai: { delta: { list: [1] } } }
    collector.add(carried)
    collector.add(carried)
    const before = collector.toFields()
    collector.add(carried)
    expect(before).toEqual({ openai: { delta: { list: [1, 1] } } })
    expect(collector.toFields()).toEqual({ openai: { delta: { list: [1, 1, 1] } } })
    expect(carried).toEqual({ openai: { delta: { list: [1] } } })
  })

  it('keeps wires apart, also those of modules', async () => {
    const log = logOf([
      carrying({ mine: { x: 1 } }),
      carrying({ anthropic: { id: 'a' } }),
      carrying({ mine: { x: 2 } }),
    ])
    expect((await collectMessage(log)).carried).toEqual({ mine: { x: 2 }, anthropic: { id: 'a' } })
  })

  it('is the same in a snapshot and in the client, with what its tool calls carry', async () => {
    const signature = { google: { thought_signature: 's' } }
    const deltas: Delta[] = [
      {
        type: 'delta',
        tool_calls: [{ index: 3, id: 'b', carried: { openai: { call: { extra_content: signature } } } }],
      },
      { type: 'delta', tool_calls: [{ index: 1, id: 'a', function: { name: 'f', arguments: '{}' } }] },
      carrying({ openai: { choice: { logprobs: { content: [1] } } } }),
      carrying({ openai: { choice: { logprobs: { content: [2] } } } }),
    ]
    const message = await collectMessage(logOf(deltas))
    expect(collectInClient(deltas.map((delta, seq) => ({ ...delta, seq })))).toEqual(message)
    expect(message).toMatchObject({
      tool_calls: [{ id: 'a' }, { id: 'b', carried: { openai: { call: { extra_content: signature } } } }],
      carried: { openai: { choice: { logprobs: { content: [1, 2] } } } },
    })
  })
})
