import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergeDeltas, type Delta, type ToolCallDelta } from '../../src/stream/events.ts'
import { accumulate, anyDelta } from './any-delta.ts'

function delta(fields: Omit<Delta, 'type'>): Delta {
  return { type: 'delta', ...fields }
}

function callDelta(...tool_calls: ToolCallDelta[]): Delta {
  return delta({ tool_calls })
}

describe('mergeDeltas', () => {
  it.each(['content', 'reasoning', 'refusal'] as const)('joins the %s of two deltas', (kind) => {
    expect(mergeDeltas(delta({ [kind]: 'Hel' }), delta({ [kind]: 'lo' }))).toEqual(delta({ [kind]: 'Hello' }))
  })

  it('joins the arguments of one tool call', () => {
    const merged = mergeDeltas(
      callDelta({ index: 1, function: { arguments: '{"a"' } }),
      callDelta({ index: 1, function: { arguments: ':1}' } }),
    )
    expect(merged).toEqual(callDelta({ index: 1, function: { arguments: '{"a":1}' } }))
  })

  it('keeps the choice of the deltas that it joins', () => {
    expect(mergeDeltas(delta({ index: 2, content: 'a' }), delta({ index: 2, content: 'b' }))).toEqual(
      delta({ index: 2, content: 'ab' }),
    )
  })

  it('leaves the deltas themselves as they are, since other readers read them too', () => {
    const [a, b] = [delta({ content: 'a' }), delta({ content: 'b' })]
    mergeDeltas(a, b)
    expect([a, b]).toEqual([delta({ content: 'a' }), delta({ content: 'b' })])
  })

  it('never joins different choices', () => {
    expect(mergeDeltas(delta({ content: 'a' }), delta({ index: 1, content: 'b' }))).toBeUndefined()
    expect(mergeDeltas(delta({ index: 1, content: 'a' }), delta({ index: 2, content: 'b' }))).toBeUndefined()
  })

  it('never joins different kinds', () => {
    const kinds = [
      delta({ content: 'a' }),
      delta({ reasoning: 'a' }),
      delta({ refusal: 'a' }),
      callDelta({ index: 0, function: { arguments: 'a' } }),
    ]
    for (const a of kinds) for (const b of kinds) if (a !== b) expect(mergeDeltas(a, b)).toBeUndefined()
  })

  it.each<[string, Delta]>([
    ['a role', delta({ role: 'assistant', content: 'a' })],
    ['carried fields', delta({ content: 'a', carried: { openai: { choice: { logprobs: [] } } } })],
    ['two kinds', delta({ content: 'a', reasoning: 'b' })],
    ['nothing', delta({})],
  ])('never joins a delta that holds %s', (_, solitary) => {
    expect(mergeDeltas(solitary, delta({ content: 'b' }))).toBeUndefined()
    expect(mergeDeltas(delta({ content: 'b' }), solitary)).toBeUndefined()
    expect(mergeDeltas(solitary, solitary)).toBeUndefined()
  })

  it.each<[string, ToolCallDelta[]]>([
    ['carried fields', [{ index: 0, carried: { openai: { call: { signature: 's' } } } }]],
    ['an id', [{ index: 0, id: 'call_1', function: { arguments: 'a' } }]],
    ['a type', [{ index: 0, type: 'function', function: { arguments: 'a' } }]],
    ['a name', [{ index: 0, function: { name: 'find', arguments: 'a' } }]],
    ['another call', [{ index: 1, function: { arguments: 'a' } }]],
    [
      'several calls',
      [
        { index: 0, function: { arguments: 'a' } },
        { index: 1, function: { arguments: 'b' } },
      ],
    ],
  ])('never joins arguments with %s', (_, calls) => {
    const more = callDelta({ index: 0, function: { arguments: 'b' } })
    expect(mergeDeltas(callDelta(...calls), more)).toBeUndefined()
    expect(mergeDeltas(more, callDelta(...calls))).toBeUndefined()
  })

  it('changes nothing in what a list of deltas adds up to', () => {
    fc.assert(
      fc.property(fc.array(anyDelta, { maxLength: 30 }), (deltas) => {
        const merged: Delta[] = []
        for (const next of deltas) {
          const last = merged.at(-1)
          const joined = last && mergeDeltas(last, next)
          if (joined) merged[merged.length - 1] = joined
          else merged.push(next)
        }
        expect(accumulate(merged)).toEqual(accumulate(deltas))
      }),
      { numRuns: 500 },
    )
  })
})
