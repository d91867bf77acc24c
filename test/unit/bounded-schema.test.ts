import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { boundedArray, boundedRecord } from '../../src/bounded-schema.ts'
import { parseChat } from '../../src/chat-request.ts'
import { SluiceError } from '../../src/errors.ts'
import { MAX_FAULTS, toFaults, type Fault } from '../../src/faults.ts'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'
import { openaiChat } from '../../src/protocols/openai/chat.ts'

/** The same schema with zod's arrays and records, or with ours. */
function schemaOf(array: (element: z.ZodType) => z.ZodType, record: (value: z.ZodType) => z.ZodType) {
  const part = z.looseObject({ type: z.string(), text: z.string().optional() }).superRefine((value, context) => {
    if (value.type === 'text' && value.text === undefined)
      context.addIssue({ code: 'custom', path: ['text'], message: 'is required' })
  })
  const message = z.looseObject({
    content: z.union([z.string(), array(part)], 'expected a string or an array of parts').nullish(),
    bias: record(z.number()).optional(),
  })
  return z.looseObject({ messages: array(message), tags: array(z.string()).nullish() })
}

const ours = schemaOf(
  (element) => boundedArray(element),
  (value) => boundedRecord(value),
)
const zods = schemaOf(
  (element) => z.array(element),
  (value) => z.record(z.string(), value),
)

const anyPart = fc.oneof(
  fc.constantFrom({ type: 'text', text: 'a' }, { type: 'text' }, { type: 'image' }, { text: 1 }, 0, null),
)
const anyMessage = fc.oneof(
  fc.record(
    {
      content: fc.oneof(fc.string(), fc.array(anyPart, { maxLength: 30 }), fc.constantFrom(null, 0)),
      bias: fc.oneof(fc.dictionary(fc.string(), fc.constantFrom(1, 2, 'x')), fc.constantFrom(0, [])),
      more: fc.nat(),
    },
    { requiredKeys: [] },
  ),
  fc.constantFrom(0, null, []),
)
const anyBody = fc.record(
  {
    messages: fc.oneof(fc.array(anyMessage, { maxLength: 30 }), fc.constantFrom(undefined, null, 'x', {})),
    tags: fc.oneof(fc.array(fc.constantFrom('a', 1)), fc.constantFrom(null, 1)),
  },
  { requiredKeys: [] },
)

describe('bounded arrays and records', () => {
  it('report the same faults as zod, up to the limit', () => {
    fc.assert(
      fc.property(anyBody, (body) => {
        const expected = zods.safeParse(body)
        const parsed = ours.safeParse(body)
        expect(parsed.success).toBe(expected.success)
        expect(parsed.data).toEqual(expected.data)
        if (parsed.error && expected.error)
          expect(toFaults(parsed.error.issues)).toEqual(toFaults(expected.error.issues))
      }),
    )
  })

  it('check no more elements than they report', () => {
    let checked = 0
    const never = z.unknown().refine(() => {
      checked += 1
      return false
    })
    const elements = Array.from({ length: 10_000 }, (_, i) => i)
    expect(boundedArray(never).safeParse(elements).success).toBe(false)
    expect(checked).toBe(MAX_FAULTS + 1)
    checked = 0
    expect(boundedRecord(never).safeParse(Object.fromEntries(elements.map((i) => [`k${i}`, i]))).success).toBe(false)
    expect(checked).toBe(MAX_FAULTS + 1)
  })

  it('never change a prototype', () => {
    const record = boundedRecord(z.unknown()).parse(JSON.parse('{"__proto__":{"polluted":1},"a":2}'))
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype)
    expect(record).toEqual({ a: 2 })
  })
})

function faultsOf(parse: () => unknown): Fault[] {
  try {
    parse()
  } catch (error) {
    if (error instanceof SluiceError) return error.faults ?? []
    throw error
  }
  return []
}

const many = <T>(element: T): T[] => Array.from({ length: 10_000 }, () => element)
const names = (value: unknown) => Object.fromEntries(many(0).map((_, i) => [`k${i}`, value]))
const user = (content: unknown) => ({ role: 'user', content })
const claude = { model: 'm', max_tokens: 1 }

describe('a body full of faults', () => {
  const bodies: [name: string, parse: () => unknown, twentyFirst: string][] = [
    ['messages', () => parseChat({ messages: many(0) }), 'messages[20]'],
    ['tools', () => parseChat({ messages: [user('a')], tools: many(0) }), 'tools[20]'],
    ['parts', () => parseChat({ messages: [user(many({ type: 'text' }))] }), 'messages[0].content[20].text'],
    [
      'tool calls',
      () => parseChat({ messages: [{ ...user('a'), tool_calls: many(0) }] }),
      'messages[0].tool_calls[20]',
    ],
    ['logit_bias', () => parseChat({ messages: [user('a')], logit_bias: names('x') }), 'logit_bias.k20'],
    ['openai-chat', () => openaiChat.parse({ model: 'm', messages: many(0) }, {}), 'messages[20]'],
    ['anthropic messages', () => anthropicMessages.parse({ ...claude, messages: many(0) }, {}), 'messages[20]'],
    [
      'anthropic blocks',
      () => anthropicMessages.parse({ ...claude, messages: [user(many({ type: 'text' }))] }, {}),
      'messages[0].content[20].text',
    ],
    [
      'anthropic blocks of another role',
      () => anthropicMessages.parse({ ...claude, messages: [user(many({ type: 'thinking', thinking: '' }))] }, {}),
      'messages[0].content[20].type',
    ],
    [
      'anthropic tool results',
      () => {
        const result = { type: 'tool_result', tool_use_id: 'a', content: many({ type: 'text' }) }
        return anthropicMessages.parse({ ...claude, messages: [user([result])] }, {})
      },
      'messages[0].content[0].content[20].text',
    ],
    [
      'anthropic tools',
      () => anthropicMessages.parse({ ...claude, messages: [], tools: many({}) }, {}),
      'tools[9].input_schema',
    ],
    [
      'anthropic stop sequences',
      () => anthropicMessages.parse({ ...claude, messages: [user('a')], stop_sequences: many(0) }, {}),
      'stop_sequences[20]',
    ],
  ]
  it.each(bodies)('is answered with 20 of them and "and more": %s', (_, parse, twentyFirst) => {
    const faults = faultsOf(parse)
    expect(faults).toHaveLength(MAX_FAULTS + 1)
    expect(faults.at(-1)).toEqual({ path: twentyFirst, message: 'and more' })
    expect(faults.filter(({ message }) => message === 'and more')).toHaveLength(1)
  })

  it('is answered with all of exactly 20', () => {
    const faults = faultsOf(() => parseChat({ messages: Array.from({ length: 20 }, () => 0) }))
    expect(faults.map(({ path }) => path)).toEqual(Array.from({ length: 20 }, (_, i) => `messages[${i}]`))
  })
})

describe('a fault', () => {
  it('quotes only the beginning of a long name', () => {
    const long = 'k'.repeat(5_000_000)
    const [fault] = faultsOf(() => parseChat({ messages: [user('a')], logit_bias: { [long]: 'x' } }))
    expect(fault?.path).toBe(`logit_bias.${'k'.repeat(100)}…`)
    const [unknown] = toFaults(z.strictObject({}).safeParse({ [long]: 1 }).error?.issues ?? [])
    expect(unknown).toEqual({ path: `${'k'.repeat(100)}…`, message: 'is not known' })
  })

  it('is reported for at most 20 unknown names', () => {
    const faults = toFaults(z.strictObject({}).safeParse(names(1)).error?.issues ?? [])
    expect(faults).toHaveLength(MAX_FAULTS + 1)
    expect(faults.at(-1)).toEqual({ path: 'k20', message: 'and more' })
  })
})
