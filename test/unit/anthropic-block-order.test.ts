import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_WAITING } from '../../src/protocols/anthropic/block-order.ts'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'
import { EventDecoder } from '../../src/sse/decode.ts'
import type { Delta, Done, StreamEvent } from '../../src/stream/events.ts'
import { logOf, sdkMessage } from './anthropic-recordings.ts'

type Frame = Record<string, unknown> & { type: string; index?: number }

const done: Done = { type: 'done', finish_reason: 'tool_calls' }
const call = (index: number, id = `c${index}`, text = ''): Delta => ({
  type: 'delta',
  tool_calls: [{ index, id, type: 'function', function: { name: 'f', arguments: text } }],
})
const more = (index: number, text: string): Delta => ({
  type: 'delta',
  tool_calls: [{ index, function: { arguments: text } }],
})
const content = (text: string): Delta => ({ type: 'delta', content: text })

/** The frames of each event; a reader with a `cursor` skips the events before it. */
function framesOf(events: readonly StreamEvent[], cursor = 0): string[] {
  const log = logOf(events)
  let encoder = anthropicMessages.encoder(log.info)
  const frames: string[] = []
  for (let seq = 1; seq <= log.last; seq++) {
    const batch = log.read(seq - 1, seq)!
    if (seq <= cursor) encoder = encoder.skip!(batch)
    else {
      const encoded = encoder.encode(batch)
      frames.push(encoded.text)
      encoder = encoded.next
    }
  }
  return frames
}

function told(...events: StreamEvent[]): Frame[] {
  const bytes = new TextEncoder().encode(framesOf(events).join(''))
  return new EventDecoder().push(bytes).map(({ data }) => JSON.parse(data) as Frame)
}

/** Type and index of each frame about a block, with the text of a delta. */
function blocksOf(...events: StreamEvent[]): string[] {
  return told(...events)
    .filter(({ index }) => index !== undefined)
    .map(({ type, index, delta = {} }) => {
      const { text, partial_json } = delta as Record<string, string>
      return [type.replace('content_block_', ''), index, text ?? partial_json].filter((x) => x !== undefined).join(' ')
    })
}

describe('fragments of several calls, mixed', () => {
  it('wait until the call before is complete', () => {
    expect(blocksOf(call(0), call(1), more(0, '{"a":'), more(1, '{"b":2}'), more(0, '1}'), done)).toEqual([
      'start 0',
      'delta 0 {"a":',
      'delta 0 1}',
      'stop 0',
      'start 1',
      'delta 1 {"b":2}',
      'stop 1',
    ])
  })

  it('are sent at once when the calls follow each other', () => {
    expect(framesOf([call(0, 'a', '{}'), call(1), more(1, '{"x'), more(1, '":1}')]).map(Boolean)).toEqual(
      Array.from({ length: 4 }, () => true),
    )
  })

  it('let a text wait that comes between them', () => {
    expect(blocksOf(call(0), more(0, '{"a":'), content('Hm'), more(0, '1}'), content('!'), done)).toEqual([
      'start 0',
      'delta 0 {"a":',
      'delta 0 1}',
      'stop 0',
      'start 1',
      'delta 1 Hm',
      'delta 1 !',
      'stop 1',
    ])
  })

  it('are complete at the end, whatever their JSON is', () => {
    expect(blocksOf(call(0), more(0, '{"a'), call(1, 'b', '{}'), done)).toEqual([
      'start 0',
      'delta 0 {"a',
      'stop 0',
      'start 1',
      'delta 1 {}',
      'stop 1',
    ])
  })

  it('may end in white space', () => {
    expect(blocksOf(call(0, 'a', '{}'), call(1, 'b', '{}'), more(0, '\n'), done).at(-1)).toBe('stop 1')
  })

  it('do not make a call look complete when the stream fails', () => {
    const failed: Done = { type: 'done', finish_reason: 'error' }
    expect(blocksOf(call(0), more(0, '{"a'), content('x'), failed)).toEqual(['start 0', 'delta 0 {"a'])
  })
})

describe('a call that stays incomplete while much else comes', () => {
  const text = content('x'.repeat(64 * 1024))
  const much = Array.from({ length: MAX_WAITING / 65_536 }, () => text)

  it('is closed as it is', () => {
    const blocks = blocksOf(call(0), more(0, '{"a'), ...much)
    expect(blocks.slice(0, 4)).toEqual(['start 0', 'delta 0 {"a', 'stop 0', 'start 1'])
    expect(blocks).toHaveLength(4 + much.length)
  })

  it('fails the stream when it goes on after that', () => {
    const frames = told(call(0), more(0, '{"a'), ...much, more(0, '":1}'), content('y'), done)
    expect(frames.at(-1)).toMatchObject({ type: 'error', error: { type: 'api_error' } })
  })
})

describe('a block whose upstream has not stopped it when the next begins', () => {
  const thought: Delta = { type: 'delta', reasoning: 'Hm' }
  const text: Delta = {
    type: 'delta',
    carried: { anthropic: { content_block: { type: 'text', text: '' }, overlaps: true } },
  }
  const signed: Delta = { type: 'delta', carried: { anthropic: { block: 0, signature: 's' } } }

  // The AI SDK sends back only thoughts whose signature it has read in a delta.
  it.each([
    ['text', content('Hi')],
    ['the end', undefined],
  ])('of unsigned thoughts has an empty signature before %s', (_, next) => {
    const events = [{ type: 'delta' as const, reasoning: 'Hm' }, ...(next ? [next] : []), done]
    const frames = framesOf(events).join('')
    expect(frames.match(/signature_delta","signature":""/g)).toHaveLength(1)
    expect(frames.indexOf('signature_delta')).toBeLessThan(frames.indexOf('content_block_stop'))
  })

  it('stays open for a late signature', async () => {
    const events = [thought, text, content('Hi'), signed, { ...done, finish_reason: 'stop' as const }]
    expect(blocksOf(...events)).toEqual(['start 0', 'delta 0', 'start 1', 'delta 1 Hi', 'delta 0', 'stop 0', 'stop 1'])
    const blocks = [
      { type: 'thinking', thinking: 'Hm', signature: 's' },
      { type: 'text', text: 'Hi' },
    ]
    expect(await sdkMessage(framesOf(events).join(''))).toMatchObject({ content: blocks })
    expect(await anthropicMessages.renderWhole(logOf(events))).toMatchObject({ content: blocks })
  })
})

describe('any mix of texts, thoughts and calls', () => {
  const pieces = fc.array(fc.constantFrom('{"a":"b', '"}', '{', '}', '[1,', 'x'), { maxLength: 3 })
  const anyEvents = fc
    .array(
      fc.oneof(fc.constantFrom<Delta>(content('a'), { type: 'delta', reasoning: 'b' }), fc.tuple(fc.nat(3), pieces)),
      { maxLength: 30 },
    )
    .map((items): StreamEvent[] => {
      const begun = new Set<number>()
      const deltas = items.flatMap((item) => {
        if (!Array.isArray(item)) return [item]
        const [index, texts] = item
        const start = begun.has(index) ? [] : [call(index)]
        begun.add(index)
        return [...start, ...texts.map((text) => more(index, text))]
      })
      return [...deltas, done]
    })

  it('has one block open at a time, and no delta after its stop', () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        let open: number | undefined
        for (const { type, index } of told(...events)) {
          if (type === 'content_block_start') {
            expect(open).toBeUndefined()
            open = index
          } else if (index !== undefined) expect(index).toBe(open)
          if (type === 'content_block_stop') open = undefined
        }
      }),
    )
  })

  it('adds up to the blocks of the whole answer', async () => {
    await fc.assert(
      fc.asyncProperty(anyEvents, async (events) => {
        const frames = told(...events)
        if (frames.at(-1)?.type === 'error') return
        const blocks: Record<string, string>[] = []
        for (const { type, index = 0, content_block, delta } of frames) {
          if (type === 'content_block_start') blocks[index] = { ...(content_block as Record<string, string>), json: '' }
          const { text = '', thinking = '', partial_json = '' } = (delta ?? {}) as Record<string, string>
          const block = blocks[index]
          if (type !== 'content_block_delta' || !block) continue
          if (block.type === 'text') block.text += text
          if (block.type === 'thinking') block.thinking += thinking
          block.json += partial_json
        }
        const { content: whole } = (await anthropicMessages.renderWhole(logOf(events))) as {
          content: Record<string, unknown>[]
        }
        expect(whole).toHaveLength(blocks.length)
        for (const [i, { json = '', ...block }] of blocks.entries()) {
          if (block.type !== 'tool_use') expect(whole[i]).toEqual(block)
          else if (json) expect([json, valueOf(json)]).toContainEqual(whole[i]?.input)
        }
      }),
    )
  })

  it('is the same to a reader who comes back at any cursor', () => {
    fc.assert(
      fc.property(anyEvents, fc.nat(40), (events, cursor) => {
        expect(framesOf(events, cursor)).toEqual(framesOf(events).slice(cursor))
      }),
    )
  })
})

function valueOf(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return json
  }
}

it('sends the input of a custom tool as JSON', async () => {
  const custom = (input: string, start?: object): Delta => ({
    type: 'delta',
    tool_calls: [{ index: 0, ...start, custom: { input, ...(start && { name: 'run_sql' }) } }],
  })
  const events = [custom('', { id: 'c', type: 'custom' }), custom('SELECT "'), custom('1";\n'), done]
  const block = { type: 'tool_use', id: 'c', name: 'run_sql', input: { input: 'SELECT "1";\n' } }
  expect(await sdkMessage(framesOf(events).join(''))).toMatchObject({ content: [block] })
  expect(await anthropicMessages.renderWhole(logOf(events))).toMatchObject({ content: [block] })
  const cut = [...events.slice(0, 2), { ...done, finish_reason: 'length' as const }]
  expect(await anthropicMessages.renderWhole(logOf(cut))).toMatchObject({
    content: [{ ...block, input: '{"input":"SELECT \\"' }],
  })
})

describe('fields of Chat Completions that Messages have, too', () => {
  const carrying = (delta: Record<string, unknown>): Delta => ({ type: 'delta', carried: { openai: { delta } } })
  const whole = (...events: StreamEvent[]) => anthropicMessages.renderWhole(logOf([...events, done]))

  it('annotations are citations, with the text that they are about', async () => {
    const place = { url: 'https://example.org', title: 'T', start_index: 3, end_index: 7 }
    expect(
      await whole(
        content('In Os'),
        content('lo.'),
        carrying({
          annotations: [{ type: 'url_citation', url_citation: place }, { type: 'url_citation', ...place }, 1],
        }),
      ),
    ).toMatchObject({
      content: [
        {
          text: 'In Oslo.',
          citations: Array.from({ length: 2 }, () => ({
            type: 'web_search_result_location',
            url: 'https://example.org',
            title: 'T',
            cited_text: 'Oslo',
            encrypted_index: '',
          })),
        },
      ],
    })
  })

  it('signatures and hidden thoughts of `reasoning_details` are blocks of thoughts', async () => {
    expect(
      await whole(
        {
          type: 'delta',
          reasoning: 'Hm',
          carried: carrying({ reasoning_details: [{ type: 'reasoning.text', text: 'Hm' }] }).carried!,
        },
        carrying({ reasoning_details: [{ type: 'reasoning.text', signature: 's' }] }),
        carrying({ reasoning_details: [{ type: 'reasoning.encrypted', data: 'd' }] }),
        carrying({ reasoning_details: [{ type: 'reasoning.encrypted', data: 'x', format: 'google-gemini-v1' }] }),
        content('42'),
      ),
    ).toMatchObject({
      content: [
        { type: 'thinking', thinking: 'Hm', signature: 's' },
        { type: 'redacted_thinking', data: 'd' },
        { type: 'text', text: '42' },
      ],
    })
  })

  it('a thought signature comes back in the id of its call', async () => {
    const carried = { openai: { call: { extra_content: { google: { thought_signature: 'SIG' } } } } }
    const start: Delta = { type: 'delta', tool_calls: [{ index: 0, id: 'c1', function: { name: 'f' }, carried }] }
    expect(await whole(start, more(0, '{}'))).toMatchObject({ content: [{ id: 'c1__sig_U0lH' }] })
  })
})
