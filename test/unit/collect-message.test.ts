import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Delta } from '../../src/stream/events.ts'
import { collectMessage } from '../../src/protocols/native/native.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'
import type { AnthropicCarried } from '../../src/wires/anthropic.ts'
import { accumulate, anyDelta } from './any-delta.ts'

function logOf(deltas: Delta[]): StreamLog {
  const log = new StreamLog({ id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0 })
  for (const delta of deltas) log.append(delta)
  return log
}

describe('collectMessage', () => {
  it('has null content before any arrives', async () => {
    expect(await collectMessage(logOf([]))).toEqual({ role: 'assistant', content: null })
  })

  it('joins split texts, tool calls and carried fields', async () => {
    const log = logOf([
      { type: 'delta', role: 'assistant' },
      { type: 'delta', reasoning: 'Hm' },
      { type: 'delta', content: 'It ' },
      { type: 'delta', content: 'is', carried: { openai: { chunk: { tier: 'a' }, choice: { stop: 1 } } } },
      { type: 'delta', tool_calls: [{ index: 0, id: 'c1', function: { name: 'find', arguments: '{"q"' } }] },
      { type: 'delta', tool_calls: [{ index: 1, id: 'c2', function: { name: 'sum', arguments: '' } }] },
      {
        type: 'delta',
        tool_calls: [{ index: 0, function: { arguments: ':1}' } }],
        carried: { openai: { chunk: { tier: 'b' } } },
      },
    ])
    expect(await collectMessage(log)).toEqual({
      role: 'assistant',
      content: 'It is',
      reasoning: 'Hm',
      tool_calls: [
        { id: 'c1', type: 'function', function: { name: 'find', arguments: '{"q":1}' } },
        { id: 'c2', type: 'function', function: { name: 'sum', arguments: '' } },
      ],
      carried: { openai: { chunk: { tier: 'b' }, choice: { stop: 1 } } },
    })
  })

  it('has no gaps between tool calls, whatever their indexes', async () => {
    const log = logOf([
      { type: 'delta', tool_calls: [{ index: 1, id: 'c1', function: { name: 'find', arguments: '1' } }] },
      { type: 'delta', tool_calls: [{ index: 1_000_000, id: 'c2', function: { name: 'sum', arguments: '2' } }] },
    ])
    const calls = (await collectMessage(log)).tool_calls ?? []
    expect(calls.length).toBe(2)
    expect(calls.map(({ id }) => id)).toEqual(['c1', 'c2'])
  })

  it('adds up the deltas of one choice only', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyDelta, { maxLength: 30 }), fc.constantFrom(0, 1), async (deltas, choice) => {
        const message = await collectMessage(logOf(deltas), choice)
        const { texts } = accumulate(deltas)
        expect(message.content).toBe(texts[`${choice} content`] ?? null)
        expect(message.reasoning).toBe(texts[`${choice} reasoning`])
        expect(message.refusal).toBe(texts[`${choice} refusal`])
      }),
    )
  })
})

it('has the calls of custom tools with their input', async () => {
  const log = logOf([
    { type: 'delta', tool_calls: [{ index: 0, id: 'c1', type: 'custom', custom: { name: 'run_sql', input: '' } }] },
    { type: 'delta', tool_calls: [{ index: 0, custom: { input: 'SELECT ' } }] },
    { type: 'delta', tool_calls: [{ index: 0, custom: { input: '1;' } }] },
  ])
  expect((await collectMessage(log)).tool_calls).toEqual([
    { id: 'c1', type: 'custom', custom: { name: 'run_sql', input: 'SELECT 1;' } },
  ])
})

describe('a message from Anthropic', () => {
  const carrying = (anthropic: AnthropicCarried): Delta => ({ type: 'delta', carried: { anthropic } })
  const start = carrying({ id: 'msg_1', message_start: {} })

  it('has its blocks with all of their citations and signatures', async () => {
    const [first, second] = [{ url: 'https://example.org/1' }, { url: 'https://example.org/2' }]
    const text = { type: 'text', text: '' }
    const { carried } = await collectMessage(
      logOf([
        start,
        { type: 'delta', reasoning: 'Hm' },
        carrying({ signature: 'a' }),
        { type: 'delta', content: 'Oslo' },
        carrying({ citation: first }),
        carrying({ citation: second }),
        carrying({ content_block: text }),
        { type: 'delta', content: '.' },
        carrying({ content_block: { type: 'server_tool_use', id: 's', name: 'web_search', input: {} } }),
        carrying({ content_block_delta: { type: 'input_json_delta', partial_json: '{"query":"x"}' } }),
        carrying({ redacted_thinking: 'r' }),
        carrying({ content_block: { type: 'thinking', thinking: '', signature: '' } }),
        carrying({ signature: 'b' }),
      ]),
    )
    expect(carried).toEqual({
      anthropic: {
        id: 'msg_1',
        message_start: {},
        content: [
          { type: 'thinking', thinking: 'Hm', signature: 'a' },
          { type: 'text', text: 'Oslo', citations: [first, second] },
          { type: 'text', text: '.' },
          { type: 'server_tool_use', id: 's', name: 'web_search', input: { query: 'x' } },
          { type: 'redacted_thinking', data: 'r' },
          { type: 'thinking', thinking: '', signature: 'b' },
        ],
      },
    })
  })

  it('has its blocks when their order is not that of its fields', async () => {
    const thought: Delta = { type: 'delta', reasoning: 'a' }
    const text: Delta = { type: 'delta', content: 'b' }
    expect((await collectMessage(logOf([start, thought, text]))).carried?.anthropic).not.toHaveProperty('content')
    expect((await collectMessage(logOf([start, text, thought]))).carried?.anthropic?.content).toHaveLength(2)
  })

  it('keeps an input that is nested too deeply as text', async () => {
    const deep = `${'['.repeat(200)}${']'.repeat(200)}`
    const block = { type: 'server_tool_use', input: {} }
    const delta = { type: 'input_json_delta', partial_json: deep }
    const message = await collectMessage(
      logOf([start, carrying({ content_block: block }), carrying({ content_block_delta: delta })]),
    )
    expect(message.carried?.anthropic?.content).toEqual([{ ...block, input: deep }])
  })
})
