import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { numberFrames, NUMBERS_PER_EVENT, toPosition } from '../../src/protocols/responses/numbering.ts'
import { renderResponse } from '../../src/protocols/responses/encoder.ts'
import { openaiResponses } from '../../src/protocols/responses/responses.ts'
import { sharedFrames } from '../../src/protocols/shared-frames.ts'
import { EventDecoder } from '../../src/sse/decode.ts'
import type { Delta, Done, StreamEvent } from '../../src/stream/events.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'
import { anyDelta } from './any-delta.ts'
import { utf8 } from './recut.ts'

type Event = Record<string, unknown> & { type: string; sequence_number: number }

const STOP: Done = { type: 'done', finish_reason: 'stop' }

function newLog(labels: Record<string, string> = {}): StreamLog {
  return new StreamLog({ id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0, labels })
}

function decode(text: string): Event[] {
  return new EventDecoder().push(utf8(text)).map(({ data }) => JSON.parse(data))
}

/** Reads like `sendStream`: the opening at the start, then batch after batch; `grow` runs between them. */
function readFrom(log: StreamLog, after = 0, grow: () => void = () => {}): Event[] {
  const { seq, seen } = after === 0 ? { seq: 0, seen: undefined } : toPosition(after, log)
  let text = seq === 0 ? (openaiResponses.opening?.(log.info, seen) ?? '') : ''
  const read = sharedFrames(log, openaiResponses).reader(seen)
  let at = seq
  for (let turns = 0; turns < 10_000; turns++) {
    const frames = read(at)
    if (frames) {
      text += frames.payload.text
      at = frames.last
    } else if (log.done) break
    grow()
  }
  expect(at).toBe(log.last)
  return decode(text)
}

function written(...events: StreamEvent[]): StreamLog {
  const log = newLog()
  for (const event of events) log.append(event)
  return log
}

/** Events without their numbers, and with neighbouring deltas of one item joined. */
function joined(events: readonly Event[]): unknown[] {
  const all: Record<string, unknown>[] = []
  for (const { sequence_number: _, ...event } of events) {
    const last = all.at(-1)
    if (last && event.type.endsWith('.delta') && last.type === event.type && last.item_id === event.item_id)
      all[all.length - 1] = { ...last, delta: String(last.delta) + String(event.delta) }
    else all.push(event)
  }
  return all
}

/** What an upstream of the same API tells of its items, in any order. */
const itemEvent = fc
  .record({
    type: fc.constantFrom(
      'response.output_item.added',
      'response.output_item.done',
      'response.web_search_call.searching',
      'response.reasoning_summary_part.added',
    ),
    output_index: fc.nat({ max: 3 }),
    item: fc.option(fc.record({ type: fc.constantFrom('message', 'reasoning', 'web_search_call') }), {
      nil: undefined,
    }),
  })
  .map((item_event): Delta => ({ type: 'delta', reasoning: '\n\n', carried: { openai: { item_event } } }))

describe('sequence numbers', () => {
  it('rise, and lead back to the rest of the very same events, wherever and however often a reader is cut', () => {
    const longer = anyDelta.map((delta): Delta => ({ ...delta, content: (delta.content ?? '').padEnd(9000, '.') }))
    const deltas = fc.array(fc.oneof({ weight: 6, arbitrary: anyDelta }, { weight: 1, arbitrary: longer }, itemEvent))
    const ends = fc.constantFrom<Done['finish_reason']>('stop', 'length', 'tool_calls', 'cancelled')
    fc.assert(
      fc.property(
        deltas,
        ends,
        fc.array(fc.nat(), { maxLength: 6 }),
        fc.array(fc.nat({ max: 3 })),
        (said, end, cuts, steps) => {
          const events: StreamEvent[] = [...said, { type: 'done', finish_reason: end }]
          const whole = readFrom(written(...events))
          const numbers = whole.map(({ sequence_number: number }) => number)
          expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b))

          const log = newLog()
          let turn = 0
          const grow = () => {
            const step = 1 + (steps[turn++ % Math.max(1, steps.length)] ?? 0)
            for (const event of events.slice(log.last, log.last + step)) log.append(event)
          }
          grow()
          let had = readFrom(log, 0, grow)
          for (const cut of cuts) {
            const kept = had.slice(0, cut % (had.length + 1))
            had = [...kept, ...readFrom(log, kept.at(-1)?.sequence_number)]
          }
          expect(joined(had)).toEqual(joined(whole))
        },
      ),
    )
  })

  it('fit in 32 bits for two million events', () => {
    expect(numberFrames(3, 2_000_000, 2_000_000).at(-1)).toBeLessThan(2 ** 31)
  })

  it('are still told apart when an answer ends in thousands of items', () => {
    const tool_calls = Array.from({ length: 3000 }, (_, index) => ({
      index,
      id: `call_${index}`,
      function: { name: 'f' },
    }))
    const log = written({ type: 'delta', tool_calls }, STOP)
    const all = readFrom(log)
    for (const at of [1, 500, all.length - 2, all.length - 1])
      expect(readFrom(log, all[at]?.sequence_number)).toEqual(all.slice(at + 1))
    const [added, done] = ['added', 'done'].map((what) =>
      all.filter(({ type }) => type === `response.output_item.${what}`),
    )
    expect([added?.length, done?.length]).toEqual([3000, 3000])
  })

  it('beyond any end are no position of a finished stream', () => {
    const log = written({ type: 'delta', content: 'a' }, STOP)
    expect(toPosition(99 * NUMBERS_PER_EVENT, log).seq).toBeGreaterThan(log.last)
  })
})

describe('the end of a long answer', () => {
  const log = written(...Array.from({ length: 100 }, (): Delta => ({ type: 'delta', content: 'x'.repeat(5000) })), STOP)

  it('is encoded once for readers that began anywhere: stalled ones would each hold four times the answer', () => {
    const ends = [0, 1, 50, 98, 99].map((start) => {
      const read = sharedFrames(log, openaiResponses).reader()
      let frames = read(start)
      for (let at = start; frames && !frames.dones; frames = read(at)) at = frames.last
      return frames?.payload
    })
    expect(ends[0]?.byteLength).toBeGreaterThan(4 * 500_000)
    expect(new Set(ends).size).toBe(1)
  })

  it('stays shared by its readers when other encodings have filled the cache', () => {
    const readEnd = () => {
      const read = sharedFrames(log, openaiResponses).reader(99_000)
      let frames = read(99)
      for (let at = 99; frames && !frames.dones; frames = read(at)) at = frames.last
      return { payload: frames?.payload, read }
    }
    const first = readEnd()
    const other = written(...Array.from({ length: 200 }, (): Delta => ({ type: 'delta', content: 'y'.repeat(40_000) })))
    const read = sharedFrames(other, openaiResponses).reader()
    for (let at = 0; at < other.last;) at = read(at)?.last ?? other.last
    const second = readEnd()
    expect(second.payload?.source).toBe(first.payload?.source)
    expect(first.read(log.last)).toBeUndefined()
  })

  it('has the same bytes for readers that have its first events', () => {
    const numbers = readFrom(log).map(({ sequence_number }) => sequence_number)
    const [whole, ...rest] = [-5, -4, -3, -2].map((n) => {
      const { seq, seen } = toPosition(numbers.at(n) ?? 0, log)
      const read = sharedFrames(log, openaiResponses).reader(seen)
      let frames = read(seq)
      while (frames && frames.payload.byteLength === 0) frames = read(frames.last)
      return { frames, bytes: Buffer.from(frames?.payload.data ?? '').length, data: frames?.payload.data }
    })
    for (const { frames, bytes, data } of rest) {
      expect(frames?.payload.byteLength).toBe(bytes)
      const [theirs, ours] = [whole?.data, data].map((each) => each as Uint8Array)
      expect(ours!.buffer === theirs!.buffer).toBe(true)
      expect(ours!.byteOffset + ours!.byteLength).toBe(theirs!.byteOffset + theirs!.byteLength)
    }
    expect(rest.map(({ frames }) => frames?.deltas)).toEqual([2, 1, 0])
  })
})

describe('the events of a stream', () => {
  const types = (log: StreamLog) => readFrom(log).map(({ type }) => type.replace('response.', ''))

  it('open, fill and close each item in its place', () => {
    const log = written(
      { type: 'delta', reasoning: 'Hm.' },
      { type: 'delta', content: 'I look.' },
      {
        type: 'delta',
        tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'find', arguments: '' } }],
      },
      { type: 'delta', tool_calls: [{ index: 0, function: { arguments: '{}' } }] },
      { type: 'done', finish_reason: 'tool_calls' },
    )
    expect(types(log)).toEqual([
      'created',
      'in_progress',
      'output_item.added',
      'reasoning_summary_part.added',
      'reasoning_summary_text.delta',
      'reasoning_summary_text.done',
      'reasoning_summary_part.done',
      'output_item.done',
      'output_item.added',
      'content_part.added',
      'output_text.delta',
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'output_item.added',
      'function_call_arguments.delta',
      'function_call_arguments.done',
      'output_item.done',
      'completed',
    ])
  })

  it('keep mixed calls apart', async () => {
    const call = (index: number, text: string, name?: string): Delta => ({
      type: 'delta',
      tool_calls: [
        { index, ...(name && { id: `call_${index}` }), function: { ...(name && { name }), arguments: text } },
      ],
    })
    const log = written(
      call(0, '{"a"', 'f'),
      call(1, '{"b"', 'g'),
      call(0, ':1}'),
      { type: 'delta', content: 'so' },
      call(1, ':2}'),
      STOP,
    )
    const { output } = await renderResponse(log)
    expect(output).toMatchObject([
      { type: 'function_call', call_id: 'call_0', name: 'f', arguments: '{"a":1}' },
      { type: 'function_call', call_id: 'call_1', name: 'g', arguments: '{"b":2}' },
      { type: 'message', content: [{ text: 'so' }] },
    ])
    expect(readFrom(log).at(-1)?.response).toMatchObject({ output })
  })

  it('call a custom tool by its kind, even when its upstream knows functions only', () => {
    const log = newLog({ custom_tools: '["patch"]' })
    log.append({
      type: 'delta',
      tool_calls: [{ index: 0, id: 'c', function: { name: 'patch', arguments: '{"input":"a\\nb"}' } }],
    })
    log.append(STOP)
    const events = readFrom(log)
    expect(events.find(({ type }) => type === 'response.custom_tool_call_input.done')).toMatchObject({ input: 'a\nb' })
    expect(events.at(-1)?.response).toMatchObject({
      output: [{ type: 'custom_tool_call', call_id: 'c', input: 'a\nb' }],
    })
  })

  it('lose no piece of calls that come in more pieces at once than an event has numbers', () => {
    const pieces = Array.from({ length: 3000 }, (_, i) => ({ index: i % 2, function: { arguments: `${i},` } }))
    const log = written(
      ...[0, 1].map((index): Delta => ({
        type: 'delta',
        tool_calls: [{ index, id: `c${index}`, function: { name: 'f' } }],
      })),
      { type: 'delta', tool_calls: pieces },
      { type: 'delta', tool_calls: [{ index: 0, function: { arguments: 'end' } }] },
      STOP,
    )
    const events = readFrom(log)
    const ends = events.filter(({ type }) => type === 'response.function_call_arguments.done')
    expect(ends).toHaveLength(2)
    for (const { item_id, arguments: whole } of ends) {
      const deltas = events.filter((each) => each.item_id === item_id && each.type.endsWith('.delta'))
      expect(deltas.map(({ delta }) => delta).join('')).toBe(whole)
    }
    for (const at of [3, 500, 986, -8, -3])
      expect(readFrom(log, events.at(at)?.sequence_number)).toEqual(events.slice(at).slice(1))
  })

  it('say citations where they are, and refusals as refusals', () => {
    const log = written(
      { type: 'delta', content: 'See this.' },
      {
        type: 'delta',
        carried: {
          openai: {
            delta: {
              annotations: [
                {
                  type: 'url_citation',
                  url_citation: { url: 'https://a.example', title: 'A', start_index: 4, end_index: 8 },
                },
              ],
            },
          },
        },
      },
      { type: 'delta', refusal: 'No more.' },
      STOP,
    )
    const annotation = { type: 'url_citation', url: 'https://a.example', title: 'A', start_index: 4, end_index: 8 }
    expect(readFrom(log)).toContainEqual(expect.objectContaining({ annotation, annotation_index: 0 }))
    expect(readFrom(log).at(-1)?.response).toMatchObject({
      output: [{ content: [{ text: 'See this.', annotations: [annotation] }] }, { content: [{ refusal: 'No more.' }] }],
    })
  })

  it('end no call that was cut off', () => {
    const call: Delta = {
      type: 'delta',
      tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '{"a' } }],
    }
    for (const finish_reason of ['length', 'error', 'cancelled'] as const) {
      const events = types(written(call, { type: 'done', finish_reason }))
      expect(events).not.toContain('output_item.done')
      expect(events.slice(-1)).toEqual(finish_reason === 'length' ? ['incomplete'] : ['error'])
    }
  })
})
