import * as fc from 'fast-check'
import type { Recording, Wire } from './recording.ts'

type Fields = Record<string, unknown>

const text = fc.oneof(
  fc.constantFrom('Hello', ' world', '\n', 'ü👋🏽', '"quoted" \\ text', ' '),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
)
const input = fc.dictionary(
  fc.constantFrom('city', 'n', 'list', 'why'),
  fc.oneof(text, fc.integer(), fc.constant(['a', { b: '}' }])),
  {
    maxKeys: 3,
  },
)
const call = fc.record({
  name: fc.constantFrom('find', 'get_time'),
  input,
  pieces: fc.array(fc.nat(30), { maxLength: 3 }),
})
const usage = fc.record({ prompt: fc.nat(500), completion: fc.nat(500) })

/** The parts of an answer; each is sent in one or more pieces. */
const part = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('text' as const),
      pieces: fc.array(text, { minLength: 1, maxLength: 4 }),
    }),
  },
  fc.record({
    kind: fc.constant('thoughts' as const),
    pieces: fc.array(text, { minLength: 1, maxLength: 3 }),
    signature: fc.constantFrom('', 'c2lnbmF0dXJl'),
  }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('calls' as const),
      calls: fc.array(call, { minLength: 1, maxLength: 3 }),
      order: fc.array(fc.nat(2), { maxLength: 12 }),
    }),
  },
)

type Call = { name: string; input: Fields; pieces: number[] }

/** The JSON of a call's input, cut anywhere. */
function cut({ input: value, pieces }: Call): string[] {
  const json = JSON.stringify(value)
  const places = [...new Set([0, ...pieces.map((place) => place % json.length), json.length])].toSorted((a, b) => a - b)
  return places.slice(1).map((end, i) => json.slice(places[i], end))
}

/** The pieces of several calls, mixed in an order: each entry chooses the call that goes on. */
function mix(calls: readonly Call[], order: readonly number[]): { at: number; json: string }[] {
  const queues = calls.map(cut)
  const mixed: { at: number; json: string }[] = []
  const take = (at: number) => {
    const json = queues[at]?.shift()
    if (json !== undefined) mixed.push({ at, json })
  }
  for (const choice of order) take(choice % calls.length)
  for (const [at, queue] of queues.entries()) while (queue.length > 0) take(at)
  return mixed
}

const extras = {
  chunk: fc.constantFrom({}, {}, { provider: 'X' }, { citations: ['https://example.org/1'] }, { timings: { n: 1.5 } }),
  choice: fc.constantFrom(
    {},
    {},
    { content_filter_results: { hate: { filtered: false } } },
    { native_finish_reason: 'STOP' },
  ),
  delta: fc.constantFrom(
    {},
    {},
    {
      annotations: [
        {
          type: 'url_citation',
          url_citation: { url: 'https://example.org/1', title: 'T', start_index: 0, end_index: 1 },
        },
      ],
    },
  ),
}

/** A Chat Completions stream: any order of texts, thoughts and calls, with fields that nobody models. */
const openai = fc
  .record({
    parts: fc.array(part, { maxLength: 5 }),
    fields: fc.array(fc.record(extras), { minLength: 1, maxLength: 4 }),
    first: fc.constantFrom({ content: '' }, { content: null }, {}),
    reasoning: fc.constantFrom('reasoning_content', 'reasoning'),
    finish: fc.constantFrom('stop', 'length'),
    usage,
  })
  .map(({ parts, fields, first, reasoning, finish, usage: { prompt, completion } }) => {
    const deltas: Fields[] = [{ role: 'assistant', ...first }]
    let calls = 0
    for (const each of parts) {
      if (each.kind === 'text') for (const content of each.pieces) deltas.push({ content })
      if (each.kind === 'thoughts') for (const piece of each.pieces) deltas.push({ [reasoning]: piece })
      if (each.kind !== 'calls') continue
      for (const [i, { name }] of each.calls.entries())
        deltas.push({
          tool_calls: [
            { index: calls + i, id: `call_${calls + i}`, type: 'function', function: { name, arguments: '' } },
          ],
        })
      for (const { at, json } of mix(each.calls, each.order))
        deltas.push({ tool_calls: [{ index: calls + at, function: { arguments: json } }] })
      calls += each.calls.length
    }
    const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_700_000_000, model: 'm' }
    const chunks: Fields[] = deltas.map((delta, i) => {
      const more = fields[i % fields.length]
      return {
        ...head,
        choices: [{ index: 0, delta: { ...delta, ...more?.delta }, finish_reason: null, ...more?.choice }],
        ...more?.chunk,
      }
    })
    chunks.push(
      { ...head, choices: [{ index: 0, delta: {}, finish_reason: calls > 0 ? 'tool_calls' : finish }] },
      {
        ...head,
        choices: [],
        usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
      },
    )
    return [...chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), 'data: [DONE]\n\n'].join('')
  })

/** A Messages stream: any order of blocks; blocks of calls may overlap. */
const anthropic = fc
  .record({
    parts: fc.array(part, { minLength: 1, maxLength: 5 }),
    overlap: fc.boolean(),
    pings: fc.nat(3),
    finish: fc.constantFrom('end_turn', 'max_tokens', 'stop_sequence'),
    usage,
  })
  .map(({ parts, overlap, pings, finish, usage: { prompt, completion } }) => {
    const events: Fields[] = []
    let index = 0
    let calls = 0
    const start = (content_block: Fields) => events.push({ type: 'content_block_start', index, content_block })
    const delta = (at: number, value: Fields) => events.push({ type: 'content_block_delta', index: at, delta: value })
    const stop = (at: number) => events.push({ type: 'content_block_stop', index: at })
    for (const each of parts) {
      if (each.kind === 'text') {
        start({ type: 'text', text: '' })
        for (const piece of each.pieces) delta(index, { type: 'text_delta', text: piece })
        stop(index++)
      } else if (each.kind === 'thoughts') {
        start({ type: 'thinking', thinking: '', signature: '' })
        for (const piece of each.pieces) delta(index, { type: 'thinking_delta', thinking: piece })
        if (each.signature) delta(index, { type: 'signature_delta', signature: each.signature })
        stop(index++)
      } else {
        const first = index
        const open = (i: number, name: string) => start({ type: 'tool_use', id: `toolu_${calls + i}`, name, input: {} })
        if (overlap) {
          for (const [i, { name }] of each.calls.entries()) {
            open(i, name)
            index += 1
          }
          for (const { at, json } of mix(each.calls, each.order))
            delta(first + at, { type: 'input_json_delta', partial_json: json })
          for (const i of each.calls.keys()) stop(first + i)
        } else
          for (const [i, one] of each.calls.entries()) {
            open(i, one.name)
            for (const json of cut(one)) delta(index, { type: 'input_json_delta', partial_json: json })
            stop(index++)
          }
        calls += each.calls.length
      }
      if (pings > 0 && index % pings === 0) events.push({ type: 'ping' })
    }
    const message = {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [],
      stop_reason: null,
      stop_sequence: null,
    }
    return [
      { type: 'message_start', message: { ...message, usage: { input_tokens: prompt, output_tokens: 1 } } },
      ...events,
      {
        type: 'message_delta',
        delta: {
          stop_reason: calls > 0 ? 'tool_use' : finish,
          stop_sequence: calls === 0 && finish === 'stop_sequence' ? 'END' : null,
        },
        usage: { output_tokens: completion },
      },
      { type: 'message_stop' },
    ]
      .map((event) => `event: ${String(event.type)}\ndata: ${JSON.stringify(event)}\n\n`)
      .join('')
  })

/** Streams as providers might send them. */
export function anyStream(wire: Wire): fc.Arbitrary<Omit<Recording, 'id'>> {
  return (wire === 'openai' ? openai : anthropic).map((body) => ({ wire, body: Buffer.from(body) }))
}
