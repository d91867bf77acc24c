import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Delta } from '../../src/stream/events.ts'
import { WholeCharacters } from '../../src/stream/delta-text.ts'

const [FIRST, SECOND] = ['\ud83d', '\ude00']

function text(content: string): Delta {
  return { type: 'delta', content }
}

function call(index: number, args: string): Delta {
  return { type: 'delta', tool_calls: [{ index, function: { arguments: args } }] }
}

/** All deltas of a stream, as they are kept. */
function keep(deltas: readonly Delta[]): { kept: Delta[]; rest: Delta[] } {
  const characters = new WholeCharacters()
  const kept = deltas.flatMap((delta) => characters.take(delta) ?? [])
  return { kept, rest: characters.rest() }
}

/** Every text of a stream, by choice and field or call. */
function texts(deltas: readonly Delta[]): Record<string, string> {
  const all: Record<string, string> = {}
  for (const { index = 0, content, reasoning, refusal, tool_calls = [] } of deltas) {
    const parts = Object.entries({ content, reasoning, refusal })
    for (const each of tool_calls) parts.push([`call ${each.index}`, each.function?.arguments])
    for (const [name, part = ''] of parts) all[`${index} ${name}`] = (all[`${index} ${name}`] ?? '') + part
  }
  return all
}

describe('WholeCharacters', () => {
  it('hands on a delta of whole characters as it is', () => {
    const delta = text('a 😀')
    expect(keep([delta]).kept[0]).toBe(delta)
  })

  it('holds a first half back until the other half comes', () => {
    expect(keep([text(`a${FIRST}`), text(`${SECOND}b`)]).kept).toEqual([text('a'), text('😀b')])
  })

  it('makes no delta of a half alone', () => {
    expect(keep([text(FIRST), text(SECOND)]).kept).toEqual([text('😀')])
  })

  it('holds a half for its own field, choice and call, whatever comes between', () => {
    const deltas: Delta[] = [
      text(FIRST),
      { type: 'delta', reasoning: FIRST },
      { type: 'delta', index: 1, content: FIRST },
      call(0, `"${FIRST}`),
      call(1, FIRST),
      call(1, SECOND),
      call(0, `${SECOND}"`),
      { type: 'delta', index: 1, content: SECOND },
      { type: 'delta', reasoning: SECOND },
      text(SECOND),
    ]
    expect(keep(deltas)).toEqual({
      kept: [
        call(0, '"'),
        call(1, '😀'),
        call(0, '😀"'),
        { type: 'delta', index: 1, content: '😀' },
        { type: 'delta', reasoning: '😀' },
        text('😀'),
      ],
      rest: [],
    })
  })

  it('keeps what else a delta says when its text is held back', () => {
    const start = { index: 0, id: 'call_1', function: { name: 'f', arguments: FIRST } }
    expect(keep([{ type: 'delta', role: 'assistant', content: FIRST, tool_calls: [start] }])).toEqual({
      kept: [
        {
          type: 'delta',
          role: 'assistant',
          content: '',
          tool_calls: [{ index: 0, id: 'call_1', function: { name: 'f', arguments: '' } }],
        },
      ],
      rest: [text(FIRST), call(0, FIRST)],
    })
  })

  it('keeps an empty delta', () => {
    expect(keep([text(FIRST), { type: 'delta' }, text('')]).kept).toEqual([{ type: 'delta' }, text('')])
  })

  it('gives out a half without its other half at the end, as it came', () => {
    expect(keep([text(`a${FIRST}`), text(FIRST)])).toEqual({ kept: [text('a'), text(FIRST)], rest: [text(FIRST)] })
  })

  it('holds a bounded number of halves', () => {
    const { kept, rest } = keep(Array.from({ length: 1000 }, (_, index) => ({ type: 'delta', index, content: FIRST })))
    expect(kept.length + rest.length).toBe(1000)
    expect(rest.length).toBeLessThan(300)
  })

  it('loses and changes no text, and cuts no pair, however a text is cut', () => {
    const units = fc.string({ unit: fc.constantFrom(FIRST, SECOND, '😀', 'a', '\u2028'), maxLength: 6 })
    const delta: fc.Arbitrary<Delta> = fc.oneof(
      units.map(text),
      fc.record({ type: fc.constant('delta' as const), content: units, reasoning: units }),
      fc.record({ type: fc.constant('delta' as const), index: fc.nat(2), refusal: units }),
      fc.tuple(fc.nat(2), units).map(([index, args]) => call(index, args)),
    )
    fc.assert(
      fc.property(fc.array(delta), (deltas) => {
        const { kept, rest } = keep(deltas)
        const given = texts(deltas)
        const got = texts([...kept, ...rest])
        for (const [name, whole] of Object.entries(given)) expect(got[name] ?? '').toBe(whole)
        const ends: Record<string, string> = {}
        for (const [name, part] of [...kept, ...rest].flatMap((each) => Object.entries(texts([each])))) {
          if (part === '') continue
          expect((ends[name] ?? '') + part.charAt(0)).not.toBe('😀')
          ends[name] = part.slice(-1)
        }
      }),
    )
  })
})
