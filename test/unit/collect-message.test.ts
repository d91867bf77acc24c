import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Delta } from '../../src/stream/events.ts'
import { collectMessage } from '../../src/protocols/native/native.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'
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
