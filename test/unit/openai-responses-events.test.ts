import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ResponseReader } from '../../providers/openai/responses/events.ts'
import { ProviderError, type StreamEvent } from '../../providers/provider.ts'
import { MessageCollector } from '../../src/wires/message-collector.ts'

type Event = Record<string, unknown> & { type: string }

function read(events: readonly Event[]): StreamEvent[] {
  const reader = new ResponseReader()
  const deltas = events.flatMap((event) => reader.read(JSON.stringify(event), event.type))
  return [...deltas, ...reader.end()]
}

function fixture(name: string): Event[] {
  const text = readFileSync(new URL(`../fixtures/responses/${name}.sse`, import.meta.url), 'utf8')
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!) as Event)
}

function collect(events: readonly StreamEvent[]) {
  const collector = new MessageCollector()
  for (const event of events) if (event.type === 'delta') collector.add(event)
  return { message: collector.message, done: events.at(-1) }
}

function failure(events: readonly Event[]): ProviderError {
  try {
    read(events)
  } catch (error) {
    if (error instanceof ProviderError) return error
    throw error
  }
  throw new Error('did not fail')
}

const created: Event = { type: 'response.created', response: { status: 'in_progress', model: 'gpt-5' } }
const added = (output_index: number, item: object): Event => ({
  type: 'response.output_item.added',
  output_index,
  item,
})
const completed = (output: object[] = [], more: object = {}): Event => ({
  type: 'response.completed',
  response: { status: 'completed', output, ...more },
})

describe('a stream of the Responses API', () => {
  it('is read with its thoughts, texts, parallel and custom calls, and its counts', () => {
    const { message, done } = collect(read(fixture('thoughts-and-calls')))
    expect(message).toMatchObject({
      content: 'Looking it up.',
      reasoning: '**Weather first**\n\nThen the patch.',
      tool_calls: [
        { id: 'call_w', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Köln"}' } },
        { id: 'call_t', type: 'function', function: { name: 'get_time', arguments: '{"zone":"CET"}' } },
        { id: 'call_p', type: 'custom', custom: { name: 'apply_patch', input: '*** Begin\n*** End' } },
      ],
    })
    expect(message.carried?.openai?.delta?.reasoning_details).toMatchObject([
      { type: 'reasoning.encrypted', format: 'openai-responses-v1', data: 'gAAAAABo-first==' },
      { type: 'reasoning.encrypted', format: 'openai-responses-v1', data: 'gAAAAABo-second==' },
    ])
    expect(done).toMatchObject({
      finish_reason: 'tool_calls',
      model: 'gpt-5-2025-08-07',
      usage: {
        prompt_tokens: 120,
        completion_tokens: 64,
        total_tokens: 184,
        prompt_tokens_details: { cached_tokens: 100 },
        completion_tokens_details: { reasoning_tokens: 40 },
      },
    })
  })

  it('places annotations in the whole text', () => {
    const { message } = collect(read(fixture('web-search')))
    expect(message.content).toBe('One text.Kittens rule.')
    const cited = { url: 'https://example.com/a', title: 'A page', start_index: 9, end_index: 16 }
    expect(message.carried?.openai?.delta?.annotations).toEqual([{ type: 'url_citation', url_citation: cited }])
  })

  it('may tell an item only at its end, or an answer in one piece', () => {
    const output = [
      {
        type: 'reasoning',
        id: 'rs',
        summary: [
          { type: 'summary_text', text: 'Hm.' },
          { type: 'summary_text', text: 'Ah.' },
        ],
      },
      {
        type: 'message',
        id: 'm',
        content: [{ type: 'output_text', text: 'Hi', annotations: [{ type: 'file_citation', file_id: 'f' }] }],
      },
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
    ]
    const said = {
      content: 'Hi',
      reasoning: 'Hm.\n\nAh.',
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
      carried: { openai: { delta: { annotations: [{ type: 'file_citation', file_id: 'f' }] } } },
    }
    const ends = output.map((item, output_index) => ({ type: 'response.output_item.done', output_index, item }))
    expect(collect(read([created, ...ends, completed(output)])).message).toMatchObject(said)
    const reader = new ResponseReader()
    const whole = reader.readWhole({ status: 'completed', model: 'm', output }) ?? []
    expect(collect([...whole, ...reader.end()]).message).toMatchObject(said)
  })

  it.each([
    ['max_output_tokens', 'length'],
    ['content_filter', 'content_filter'],
  ])('that is incomplete for %s ends with %s', (reason, finish_reason) => {
    const response = { status: 'incomplete', incomplete_details: { reason }, output: [] }
    expect(read([created, { type: 'response.incomplete', response }]).at(-1)).toMatchObject({ finish_reason })
  })

  it('refuses in the words of the upstream', () => {
    const delta: Event = { type: 'response.refusal.delta', output_index: 0, delta: 'No.' }
    expect(collect(read([created, added(0, { type: 'message' }), delta, completed()])).message.refusal).toBe('No.')
  })

  it('fails as the upstream fails', () => {
    const error = { code: 'server_error', message: 'Broken.' }
    const usage = { input_tokens: 3, output_tokens: 1, total_tokens: 4 }
    const failed = failure([created, { type: 'response.failed', response: { status: 'failed', error, usage } }])
    expect(failed).toMatchObject({ message: 'Broken.', usage: { prompt_tokens: 3 }, carried: { openai: { error } } })
    const limit = { code: 'rate_limit_exceeded', message: 'Slow down.', param: null }
    expect(failure([created, { type: 'error', ...limit }])).toMatchObject({ code: 'upstream_rate_limited' })
    expect(failure([created, { type: 'error', error: limit }])).toMatchObject({ code: 'upstream_rate_limited' })
  })

  it('without its end is truncated', () => {
    expect(failure([created])).toMatchObject({ code: 'upstream_truncated' })
  })

  it('may not hold what cannot be placed', () => {
    const code = 'upstream_invalid_response'
    const piece = { type: 'response.function_call_arguments.delta', output_index: 0, delta: '{' }
    expect(failure([created, piece])).toMatchObject({ code })
    expect(failure([created, added(-1, { type: 'message' })])).toMatchObject({ code })
    expect(failure([created, added(0, { type: 'function_call', call_id: 'c' })])).toMatchObject({ code })
    const many = Array.from({ length: 1025 }, (_, i) => added(i * 1e6, { type: 'message' }))
    expect(failure([created, ...many])).toMatchObject({ code })
  })

  it('may repeat as many tools as a request can have', () => {
    const tools = Array.from({ length: 10_000 }, (_, i) => ({ type: 'function', name: `f${i}`, strict: true }))
    const [begun] = read([
      { type: 'response.created', response: { model: 'm', service_tier: 'flex', tools } },
      completed(),
    ])
    expect(begun).toMatchObject({ carried: { openai: { response: { service_tier: 'flex' } } } })
    expect(JSON.stringify(begun).length).toBeLessThan(1000)
  })

  it('ignores padding, unknown events and a `[DONE]`', () => {
    const reader = new ResponseReader()
    expect(reader.read('')).toEqual([])
    expect(reader.read('[DONE]')).toEqual([])
    expect(reader.read('{"type":"response.something.new","output_index":3}')).toEqual([])
  })
})

describe('what an upstream repeats or inflates', () => {
  it('passes a large result of a hosted tool on once', () => {
    const result = 'i'.repeat(100_000)
    const image = { type: 'image_generation_call', id: 'ig_1', status: 'completed', result }
    const text = JSON.stringify(read([created, completed([image])]))
    expect(text.split(result)).toHaveLength(2)
  })

  it('leaves out fields with long names, as it does long values', () => {
    const name = 'n'.repeat(100_000)
    const begun: Event = { type: 'response.created', response: { status: 'in_progress', model: 'gpt-5', [name]: 1 } }
    expect(JSON.stringify(read([begun, completed()]))).not.toContain(name)
  })

  it('fails by name at a thought of too many parts', () => {
    const summary = Array.from({ length: 60_000 }, () => ({ text: 'a' }))
    expect(failure([created, completed([{ type: 'reasoning', id: 'rs_1', summary }])]).message).toContain(
      'parts of a thought',
    )
  })
})
