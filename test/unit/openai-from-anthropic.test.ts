import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openaiChat } from '../../src/protocols/openai/chat.ts'
import { EventDecoder } from '../../src/sse/decode.ts'
import type { Delta, Done, StreamEvent } from '../../src/stream/events.ts'
import type { AnthropicCarried } from '../../src/wires/anthropic.ts'
import { answers, eventsOf, logOf } from './anthropic-recordings.ts'

type Message = { content: string; annotations?: unknown[]; reasoning_details?: unknown[] }

const done: Done = { type: 'done', finish_reason: 'stop' }
const carrying = (anthropic: AnthropicCarried): Delta => ({ type: 'delta', carried: { anthropic } })
const start = carrying({ id: 'msg_1', model: 'claude', message_start: {} })
const content = (text: string): Delta => ({ type: 'delta', content: text })
const text = carrying({ content_block: { type: 'text', text: '' } })
const cite = (name: string) =>
  carrying({ citation: { type: 'web_search_result_location', url: `https://example.org/${name}`, title: name } })
const annotation = (name: string, start_index: number, end_index: number) => ({
  type: 'url_citation',
  url_citation: { url: `https://example.org/${name}`, title: name, start_index, end_index },
})

async function messageOf(...events: StreamEvent[]): Promise<Message> {
  const whole = (await openaiChat.renderWhole(logOf([start, ...events, done]))) as { choices: { message: Message }[] }
  return whole.choices[0]!.message
}

describe('citations', () => {
  it('are annotations of the text block that they are in, before its text or after it', async () => {
    const { annotations } = await messageOf(
      content('In '),
      text,
      content('Oslo'),
      cite('a'),
      cite('b'),
      text,
      cite('c'),
      content('.'),
    )
    expect(annotations).toEqual([annotation('a', 3, 7), annotation('b', 3, 7), annotation('c', 7, 8)])
  })

  it('of documents have no annotation', async () => {
    expect(await messageOf(content('a'), carrying({ citation: { type: 'char_location' } }))).not.toHaveProperty(
      'annotations',
    )
  })
})

describe('thoughts', () => {
  it('have their signature in `reasoning_details`', async () => {
    expect(
      await messageOf(
        { type: 'delta', reasoning: 'Let me ' },
        { type: 'delta', reasoning: 'see.' },
        carrying({ signature: 's1' }),
        carrying({ redacted_thinking: 'r' }),
        content('Hm'),
        { type: 'delta', reasoning: 'More.' },
        carrying({ signature: 's2' }),
        content('42'),
      ),
    ).toMatchObject({
      content: 'Hm42',
      reasoning_content: 'Let me see.More.',
      reasoning_details: [
        { type: 'reasoning.text', text: 'Let me see.', signature: 's1', format: 'anthropic-claude-v1', index: 0 },
        { type: 'reasoning.encrypted', data: 'r', format: 'anthropic-claude-v1', index: 1 },
        { type: 'reasoning.text', text: 'More.', signature: 's2', format: 'anthropic-claude-v1', index: 2 },
      ],
    })
  })
})

// openai-node keeps only the last piece of a field that it does not know.
it('sends all details and annotations in one chunk', () => {
  const events = [
    start,
    carrying({ signature: 's1' }),
    carrying({ redacted_thinking: 'r' }),
    content('a'),
    cite('b'),
    done,
  ]
  const log = logOf(events)
  const { text: frames } = openaiChat.encoder(log.info).encode(log.read(0)!)
  const deltas = frames.split('\n').filter((line) => line.includes('reasoning_details'))
  expect(deltas).toHaveLength(1)
  expect(deltas[0]).toContain('"s1"')
  expect(deltas[0]).toContain('"annotations":[')
})

describe.each([...answers, 'made up'])('a stream of %s', (name) => {
  const events = () =>
    name === 'made up' ? [start, content('a'), text, cite('b'), content('c'), content('d'), text, done] : eventsOf(name)

  it('says the same however it is read, and to a reader who comes back at any cursor', () => {
    const log = logOf(events())
    const read = (places: readonly number[], from: number) => {
      let encoder = openaiChat.encoder(log.info)
      let cursor = 0
      let frames = ''
      for (const place of [...places, log.last].toSorted((a, b) => a - b)) {
        for (let batch = log.read(cursor, place); batch; batch = log.read(cursor, place)) {
          if (batch.last <= from) encoder = encoder.skip!(batch)
          else {
            const encoded = encoder.encode(batch)
            frames += encoded.text
            encoder = encoded.next
          }
          cursor = batch.last
        }
      }
      return new EventDecoder()
        .push(new TextEncoder().encode(frames))
        .filter(({ data }) => data !== '[DONE]')
        .flatMap(({ data }) => (JSON.parse(data) as { choices: { delta: Message }[] }).choices)
        .flatMap(({ delta }) => [...(delta.annotations ?? []), ...(delta.reasoning_details ?? [])])
    }
    const all = read([], 0)
    fc.assert(
      fc.property(fc.array(fc.nat(log.last)), fc.nat(log.last - 1), (places, from) => {
        expect(read(places, 0)).toEqual(all)
        const rest = read([...places, from], from)
        expect(rest).toEqual(all.slice(all.length - rest.length))
      }),
      { numRuns: 30 },
    )
  })
})
