import { describe, expect, it } from 'vitest'
import { MessageReader } from '../../providers/anthropic/events.ts'
import { ProviderError, type StreamEvent } from '../../providers/provider.ts'
import { openaiChat } from '../../src/protocols/openai/chat.ts'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'
import { logOf, sdkMessage } from './anthropic-recordings.ts'

const message = (fields: object = {}) => ({
  type: 'message_start',
  message: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 3, output_tokens: 1 },
    ...fields,
  },
})
const start = (index: unknown, content_block: object) => ({ type: 'content_block_start', index, content_block })
const delta = (index: unknown, fields: object) => ({ type: 'content_block_delta', index, delta: fields })
const text = (index: unknown, words: string) => delta(index, { type: 'text_delta', text: words })
const thought = (index: unknown, words: string) => delta(index, { type: 'thinking_delta', thinking: words })
const json = (index: unknown, partial_json: string) => delta(index, { type: 'input_json_delta', partial_json })
const stop = (index: unknown) => ({ type: 'content_block_stop', index })
const ending = [
  { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 2 } },
  { type: 'message_stop' },
]
const emptyText = { type: 'text', text: '' }
const emptyThought = { type: 'thinking', thinking: '' }
const call = (id: string, name: string) => ({ type: 'tool_use', id, name, input: {} })

function eventsOf(upstream: readonly object[]): StreamEvent[] {
  const reader = new MessageReader()
  return [...upstream.flatMap((event) => reader.read(JSON.stringify(event))), ...reader.end()]
}

/** The blocks that a Messages client reads; the same from a stream and from a whole answer. */
async function contentOf(...blocks: object[]): Promise<unknown> {
  const log = logOf(eventsOf([message(), ...blocks, ...ending]))
  const { content } = (await anthropicMessages.renderWhole(log)) as { content: unknown }
  let frames = ''
  let encoder = anthropicMessages.encoder(log.info)
  for (let seq = 1; seq <= log.last; seq++) {
    const encoded = encoder.encode(log.read(seq - 1, seq)!)
    frames += encoded.text
    encoder = encoded.next
  }
  const streamed = (await sdkMessage(frames)) as { content: object[] }
  const plain = streamed.content.map((block) => Object.entries(block).filter(([name]) => name !== 'parsed_output'))
  expect(plain.map((entries): unknown => Object.fromEntries(entries))).toEqual(content)
  return content
}

describe('blocks that overlap', () => {
  it('tool calls are told apart by index', async () => {
    expect(
      await contentOf(
        start(0, call('a', 'f')),
        start(1, call('b', 'g')),
        json(0, '{"a":1}'),
        json(1, '{"b":2}'),
        stop(0),
        stop(1),
      ),
    ).toMatchObject([
      { name: 'f', input: { a: 1 } },
      { name: 'g', input: { b: 2 } },
    ])
  })

  it.each(['', 's'])('a thought is closed after the text has begun, with the signature %j', async (signature) => {
    expect(
      await contentOf(
        start(0, emptyThought),
        thought(0, 'Let me see.'),
        start(1, emptyText),
        text(1, 'Hello'),
        delta(0, { type: 'signature_delta', signature }),
        text(1, ' there'),
        stop(0),
        stop(1),
      ),
    ).toEqual([
      { type: 'thinking', thinking: 'Let me see.', signature },
      { type: 'text', text: 'Hello there' },
    ])
  })

  it('an empty signature of a block that is closed says nothing', async () => {
    const late = delta(0, { type: 'signature_delta', signature: '' })
    expect(
      await contentOf(start(0, emptyThought), thought(0, 'a'), stop(0), start(1, emptyText), late, text(1, 'b')),
    ).toMatchObject([{ thinking: 'a' }, { text: 'b' }])
  })

  it('a text comes between the fragments of a call', async () => {
    expect(
      await contentOf(start(0, call('a', 'f')), json(0, '{"a"'), start(1, emptyText), text(1, 'Hm'), json(0, ':1}')),
    ).toMatchObject([{ input: { a: 1 } }, { text: 'Hm' }])
  })

  it('two texts grow in turn', async () => {
    expect(
      await contentOf(start(0, emptyText), start(1, emptyText), text(0, 'a'), text(1, 'b'), text(0, 'c')),
    ).toMatchObject([{ text: 'ac' }, { text: 'b' }])
  })
})

describe('indexes', () => {
  it.each([
    ['null', null, null],
    ['texts', '0', '1'],
    ['always 0', 0, 0],
  ])('that are %s', async (_, first, second) => {
    expect(
      await contentOf(
        start(first, emptyThought),
        thought(first, 'a'),
        stop(first),
        start(second, call('a', 'f')),
        json(second, '{}'),
        stop(second),
      ),
    ).toMatchObject([{ thinking: 'a' }, { name: 'f', input: {} }])
  })
})

describe('a delta of another type than its block', () => {
  it('thoughts in a text are a block of their own', async () => {
    expect(await contentOf(start(0, emptyText), thought(0, 'hm'), text(0, 'ok'), stop(0))).toEqual([
      { type: 'thinking', thinking: 'hm', signature: '' },
      { type: 'text', text: 'ok' },
    ])
    expect(
      await contentOf(start(0, emptyText), text(0, 'a'), thought(0, 'b'), thought(0, 'c'), text(0, 'd'), stop(0)),
    ).toMatchObject([{ text: 'a' }, { thinking: 'bc' }, { text: 'd' }])
  })

  it('a text in a call is a block of its own', async () => {
    expect(
      await contentOf(start(0, call('a', 'f')), json(0, '{"a":'), text(0, 'Hm'), json(0, '1}'), stop(0)),
    ).toMatchObject([{ input: { a: 1 } }, { text: 'Hm' }])
  })

  it('others are passed over, as SDKs do', async () => {
    expect(
      await contentOf(
        start(0, emptyText),
        text(0, 'a'),
        json(0, '{}'),
        delta(0, { type: 'signature_delta', signature: 's' }),
        stop(0),
      ),
    ).toEqual([{ type: 'text', text: 'a' }])
  })
})

describe('a tool call', () => {
  it('without an id gets one', async () => {
    expect(await contentOf(start(0, { type: 'tool_use', name: 'f', input: {} }), stop(0))).toEqual([
      { type: 'tool_use', id: expect.stringMatching(/^toolu_[0-9a-f]{24}$/), name: 'f', input: {} },
    ])
  })

  it.each([
    ['', {}],
    [null, {}],
    ['{"a":1}', { a: 1 }],
  ])('has an object as its input when it starts with %j', async (input, expected) => {
    expect(await contentOf(start(0, { ...call('a', 'f'), input }), stop(0))).toMatchObject([{ input: expected }])
  })

  it('may get its name from a second start', async () => {
    const unnamed = { type: 'tool_use', id: 'a', input: {} }
    expect(
      await contentOf(start(0, unnamed), json(0, '{"a"'), start(0, { ...unnamed, name: 'f' }), json(0, ':1}')),
    ).toEqual([{ type: 'tool_use', id: 'a', name: 'f', input: { a: 1 } }])
  })
})

describe('a message whose start has its content', () => {
  const whole = [
    message({
      content: [
        { type: 'thinking', thinking: 'Hm', signature: 's' },
        { type: 'text', text: 'Oslo', citations: [{ url: 'https://example.org' }] },
        { type: 'tool_use', id: 'toolu_1', name: 'roll', input: { player: 1 }, caller: { type: 'x', tool_id: 'y' } },
      ],
      stop_reason: 'tool_use',
      container: { id: 'c' },
    }),
    { type: 'message_stop' },
  ]

  it('is read as it is', async () => {
    const { usage: _, ...expected } = (whole[0] as ReturnType<typeof message>).message
    expect(await anthropicMessages.renderWhole(logOf(eventsOf(whole)))).toMatchObject(expected)
    expect(await openaiChat.renderWhole(logOf(eventsOf(whole)))).toMatchObject({
      choices: [{ finish_reason: 'tool_calls', message: { content: 'Oslo', tool_calls: [{ id: 'toolu_1' }] } }],
    })
  })

  it('has no end without `message_stop`', () => {
    expect(() => eventsOf(whole.slice(0, 1))).toThrow(ProviderError)
  })
})

describe('events of a stream', () => {
  const begun = () => {
    const reader = new MessageReader()
    reader.read(JSON.stringify(message()))
    return reader
  }

  it('that are empty, pings or the same start again are passed over', () => {
    const reader = begun()
    for (const [data, name] of [
      ['', 'ping'],
      [' ', undefined],
      ['x', 'ping'],
    ] as const)
      expect(reader.read(data, name)).toEqual([])
    expect(reader.read(JSON.stringify(message()))).toEqual([])
  })

  it('have the name as their type when the data has none', () => {
    const reader = begun()
    reader.read(JSON.stringify({ index: 0, content_block: emptyText }), 'content_block_start')
    const { type: _, ...words } = text(0, 'a')
    expect(reader.read(JSON.stringify(words), 'content_block_delta')).toEqual([{ type: 'delta', content: 'a' }])
  })

  it.each([
    ['overloaded', 'error', 'upstream_error'],
    ['{"type":"error","error":{"type":"overloaded_error","message":"m"}}', 'error', 'upstream_unavailable'],
    ['{"error":{"type":"overloaded_error","message":"m"}}', 'message', 'upstream_unavailable'],
    ['{"message":"m"}', 'error', 'upstream_error'],
  ])('that report an error fail: %s', (data, name, code) => {
    expect(() => begun().read(data, name)).toThrow(expect.objectContaining({ code }))
  })

  it('that report an error carry it, with the usage so far', () => {
    const error = { type: 'overloaded_error', message: 'm', details: { error_visibility: 'user' } }
    expect(() => begun().read(JSON.stringify({ type: 'error', error }))).toThrow(
      expect.objectContaining({
        carried: { anthropic: { error } },
        usage: expect.objectContaining({ prompt_tokens: 3 }),
      }),
    )
  })
})
