import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { collectMessage as collectInClient } from '../../src/client/message.ts'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'
import { openaiChat } from '../../src/protocols/openai/chat.ts'
import { initialState, toChunks } from '../../src/protocols/openai/chunks.ts'
import type { Protocol } from '../../src/protocols/protocol.ts'
import { collectMessage } from '../../src/protocols/native/native.ts'
import type { Delta, StreamEvent, ToolCallDelta } from '../../src/stream/events.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'
import { allocatedBy } from '../support/allocations.ts'

const done: StreamEvent = { type: 'done', finish_reason: 'stop' }

function logOf(events: readonly StreamEvent[]): StreamLog {
  const log = new StreamLog({ id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0 })
  for (const event of events) log.append(event)
  return log
}

const deltas = (count: number, toDelta: (i: number) => Omit<Delta, 'type'>): Delta[] =>
  Array.from({ length: count }, (_, i) => ({ type: 'delta', ...toDelta(i) }))

/** Encodes batch by batch, like a reader of the stream. */
function encode(log: StreamLog, protocol: Protocol): void {
  let encoder = protocol.encoder(log.info)
  for (let batch = log.read(0); batch; batch = log.read(batch.last)) encoder = encoder.encode(batch).next
}

const newName = (i: number) => ({ content: 'a', carried: { openai: { delta: { [`k${i}`]: 1 } } } })
const newNameInside = (i: number) => ({ content: 'a', carried: { openai: { delta: { more: { [`k${i}`]: 1 } } } } })
const logprobs = () => ({ content: 'a', carried: { openai: { choice: { logprobs: { content: [1] } } } } })
const citation = () => ({ carried: { anthropic: { citation: { cited_text: 'a' } } } })
const call = (i: number): { tool_calls: ToolCallDelta[] } => ({
  tool_calls: [{ index: i, id: `c${i}`, function: { name: 'f', arguments: '{}' } }],
})
const newNameOfCall = (i: number) => ({ tool_calls: [{ index: 0, carried: { openai: { call: { [`k${i}`]: 1 } } } }] })
const choice = (index: number) => ({ index, content: 'a' })
const endOfChoice = (index: number) => ({
  index,
  content: 'a',
  carried: { openai: { choice: { finish_reason: 'stop' } } },
})

type ToDelta = (i: number) => Omit<Delta, 'type'>

const reading: [
  reader: string,
  read: (log: StreamLog) => unknown,
  written: [what: string, toDelta: ToDelta, few: number][],
][] = [
  [
    'the message of a log',
    (log) => collectMessage(log),
    [
      ['new field names', newName, 250],
      ['new field names of a tool call', newNameOfCall, 250],
      ['new names in an object', newNameInside, 250],
      ['items of a list', logprobs, 1000],
      ['tool calls', call, 1000],
    ],
  ],
  [
    'a completion',
    (log) => openaiChat.renderWhole(log),
    [
      ['new field names', newName, 250],
      ['new names in an object', newNameInside, 250],
      ['items of a list', logprobs, 1000],
      ['tool calls', call, 1000],
      ['choices', choice, 1000],
      ['choices that end', endOfChoice, 1000],
    ],
  ],
  [
    'a message of the Messages API',
    (log) => anthropicMessages.renderWhole(log),
    [
      ['citations', citation, 1000],
      ['tool calls', call, 1000],
    ],
  ],
  [
    'chunks',
    (log) => encode(log, openaiChat),
    [
      ['choices', choice, 1000],
      ['choices that end', endOfChoice, 1000],
    ],
  ],
  ['events of the Messages API', (log) => encode(log, anthropicMessages), [['tool calls', call, 1000]]],
  [
    'the message of the client',
    (log) => {
      const events = Array.from({ length: log.last }, (_, i) => ({ ...log.read(i, i + 1)!.events[0]!.event, seq: i }))
      return collectInClient(events)
    },
    [
      ['new field names', newName, 250],
      ['new field names of a tool call', newNameOfCall, 250],
      ['items of a list', logprobs, 1000],
      ['tool calls', call, 1000],
    ],
  ],
]

/** Of three runs: what else the process does meanwhile only adds. */
async function leastAllocatedBy(work: () => unknown): Promise<number> {
  return Math.min(await allocatedBy(work), await allocatedBy(work), await allocatedBy(work))
}

describe.each(reading)('the cost of adding up %s', (_, read, written) => {
  it.each(written)('grows linearly: %s', async (__, toDelta, count) => {
    const few = logOf([...deltas(count, toDelta), done])
    const many = logOf([...deltas(4 * count, toDelta), done])
    await read(few)
    const cost = await leastAllocatedBy(() => read(few))
    // Linear is 4 times, quadratic 16 times.
    expect(await leastAllocatedBy(() => read(many))).toBeLessThan(8 * cost)
  })
})

describe('a huge index from an upstream', () => {
  it('makes no huge list in a completion', async () => {
    const log = logOf([
      ...deltas(1, () => ({ index: 50_000_000, ...call(40_000_000) })),
      { type: 'delta', content: 'a' },
      done,
    ])
    const { choices } = (await openaiChat.renderWhole(log)) as { choices: { index: number; message: object }[] }
    expect(choices).toHaveLength(2)
    expect(choices).toMatchObject([
      { index: 0, message: { content: 'a' } },
      { index: 50_000_000, message: { tool_calls: [{ id: 'c40000000' }] } },
    ])
  })
})

type Fields = Record<string, unknown>

/** Sent in full with each piece, if repeated at all. */
const REPEATED = new Set(['id', 'type', 'name', 'role', 'object', 'format', 'thought_signature'])

/** Text, lists and objects grow, other values replace. Of a choice, only `logprobs` does. A simple reference implementation that copies. */
function join(before: unknown, more: unknown): unknown {
  if (typeof before === 'string' && typeof more === 'string') return before + more
  if (Array.isArray(before) && Array.isArray(more)) return [...(before as unknown[]), ...(more as unknown[])]
  if (isFields(before) && isFields(more)) {
    const joined = new Map(Object.entries(before))
    for (const [name, value] of Object.entries(more))
      joined.set(name, REPEATED.has(name) ? (value ?? joined.get(name)) : join(joined.get(name), value))
    return Object.fromEntries(joined)
  }
  return more ?? before
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Adds up chunks like an SDK. */
function accumulateChunks(log: StreamLog): unknown[] {
  const choices = new Map<number, Fields>()
  const events = Array.from({ length: log.last }, (_, i) => log.read(i, i + 1)!.events[0]!)
  for (const { chunks } of toChunks(events, initialState(log.info)).eventChunks)
    for (const { index, delta, finish_reason, ...rest } of chunks.flatMap((chunk) => chunk.choices)) {
      const before = choices.get(index) ?? {
        index,
        message: { role: 'assistant', content: null, refusal: null },
        logprobs: null,
        finish_reason: null,
      }
      const { role: _, tool_calls: calls = [], content, ...fields } = delta
      const message = join(before.message, { ...fields, ...(content !== '' && { content }) }) as Fields
      for (const { index: at, ...fieldsOfCall } of calls as ({ index: number } & Fields)[]) {
        const byIndex = (message.tool_calls ?? {}) as Record<number, unknown>
        message.tool_calls = { ...byIndex, [at]: join(byIndex[at], fieldsOfCall) }
      }
      const { logprobs: more, ...stated } = rest
      const given = Object.entries(stated).filter(([, value]) => value !== null)
      choices.set(index, {
        ...before,
        ...Object.fromEntries(given),
        logprobs: join(before.logprobs, more),
        message,
        finish_reason: finish_reason ?? before.finish_reason,
      })
    }
  return [...choices.values()]
    .toSorted((a, b) => Number(a.index) - Number(b.index))
    .map(({ message, ...rest }) => {
      const { tool_calls: calls, ...fields } = message as Fields
      return {
        ...rest,
        message: { ...fields, ...(calls !== undefined && { tool_calls: Object.values(calls as object) }) },
      }
    })
}

const anyValue = fc.oneof(
  fc.constantFrom<unknown>(null, 1, true, 'a', ''),
  fc.array(fc.nat(3), { maxLength: 2 }),
  fc.constantFrom<unknown>({ a: [1] }, { a: [2], b: { c: 'x' } }, { b: { c: 'y', d: null } }, { a: 'z' }, {}),
)
const anyFields = (...names: string[]) => fc.dictionary(fc.constantFrom(...names), anyValue, { maxKeys: 3 })
const ofOpenAI = fc.record(
  {
    chunk: anyFields('x', 'service_tier'),
    choice: anyFields('logprobs', 'finish_reason', 'x'),
    delta: anyFields('x', 'y'),
  },
  { requiredKeys: [] },
)
const anyCarried = fc.record(
  { openai: ofOpenAI, anthropic: fc.constantFrom({}, { content_block: { type: 'x' } }, { signature: 's' }) },
  { requiredKeys: [] },
)
const anyCalls = fc.array(
  fc.record(
    {
      index: fc.nat(2),
      id: fc.constantFrom('c1', 'c2'),
      function: fc.record({ name: fc.constant('f'), arguments: fc.string({ maxLength: 3 }) }, { requiredKeys: [] }),
      carried: fc.record({ openai: fc.record({ call: anyFields('signature', 'x') }) }),
    },
    { requiredKeys: ['index'] },
  ),
  { minLength: 1, maxLength: 2 },
)
const anyDelta: fc.Arbitrary<Delta> = fc.record(
  {
    type: fc.constant('delta' as const),
    index: fc.constantFrom(0, 1, 7),
    content: fc.string({ maxLength: 3 }),
    reasoning: fc.string({ maxLength: 3 }),
    refusal: fc.string({ maxLength: 3 }),
    tool_calls: anyCalls,
    carried: anyCarried,
  },
  { requiredKeys: ['type'] },
)

describe('a completion', () => {
  it('equals what an SDK makes of the chunks, and does not change the log', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyDelta, { maxLength: 20 }), async (written) => {
        const log = logOf([...written, done])
        const before = JSON.stringify(log.read(0))
        const { choices } = (await openaiChat.renderWhole(log)) as { choices: unknown[] }
        expect(JSON.parse(JSON.stringify(choices))).toEqual(JSON.parse(JSON.stringify(accumulateChunks(log))))
        expect(JSON.stringify(log.read(0))).toBe(before)
      }),
    )
  })
})

describe('an upstream field named __proto__', () => {
  const fields = JSON.parse('{"__proto__":{"content":"EVIL","usage":1},"x":{"__proto__":{"a":1}}}') as Fields
  const fieldsOfCall = JSON.parse('{"__proto__":{"id":"EVIL"}}') as Fields
  const twice: Delta[] = Array.from({ length: 2 }, () => ({
    type: 'delta',
    content: 'a',
    tool_calls: [
      { index: 0, id: 'c', function: { name: 'f', arguments: '' }, carried: { openai: { call: fieldsOfCall } } },
    ],
    carried: {
      openai: { chunk: fields, choice: fields, delta: fields },
      anthropic: { ...fields, content_block_delta: fields },
      mine: fields,
    },
  }))

  /** All objects reachable from a value. */
  function* objectsIn(value: unknown): Generator<object> {
    if (typeof value !== 'object' || value === null) return
    yield value
    for (const name of Object.keys(value)) yield* objectsIn(Object.getOwnPropertyDescriptor(value, name)?.value)
  }

  it.each<[string, (log: StreamLog) => unknown]>([
    ['the message of a log', (log) => collectMessage(log)],
    ['a completion', (log) => openaiChat.renderWhole(log)],
    ['a message of the Messages API', (log) => anthropicMessages.renderWhole(log)],
  ])('sets no prototype in %s', async (_, read) => {
    const answer = await read(logOf([...twice, done]))
    for (const object of objectsIn(answer))
      expect([Object.prototype, Array.prototype]).toContain(Object.getPrototypeOf(object))
    expect(({} as Fields).usage).toBeUndefined()
  })
})
