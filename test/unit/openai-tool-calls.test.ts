import { describe, expect, it } from 'vitest'
import { ChunkReader } from '../../providers/openai/chunks.ts'
import type { Delta } from '../../providers/provider.ts'
import { chunk, read } from './read-chunks.ts'

/** Calls by index, as a client puts them together. */
function joined(deltas: Delta[]) {
  const calls = new Map<number, { id?: string; name?: string; arguments: string }>()
  for (const { index, id, function: called } of deltas.flatMap(({ tool_calls = [] }) => tool_calls)) {
    const call = calls.get(index) ?? { arguments: '' }
    calls.set(index, call)
    if (id !== undefined) call.id = id
    if (called?.name !== undefined) call.name = called.name
    call.arguments += called?.arguments ?? ''
  }
  return Object.fromEntries(calls)
}

function chunkOf(...tool_calls: unknown[]) {
  return chunk({ tool_calls })
}

const start = (id: string, name: string, fields: Record<string, unknown> = {}) => ({
  id,
  type: 'function',
  function: { name, arguments: '' },
  ...fields,
})
const more = (text: string, fields: Record<string, unknown> = {}) => ({ function: { arguments: text }, ...fields })

describe('tool calls', () => {
  it('begin with an id and a name, and go on with pieces of their arguments', () => {
    expect(read(chunkOf(start('c1', 'find', { index: 0 })), chunkOf(more('{"q"', { index: 0 })))).toEqual([
      {
        type: 'delta',
        tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'find', arguments: '' } }],
      },
      { type: 'delta', tool_calls: [{ index: 0, function: { arguments: '{"q"' } }] },
    ])
  })

  it('are kept apart by index when their pieces come mixed', () => {
    const deltas = read(
      chunkOf(start('c1', 'find', { index: 0 }), start('c2', 'sum', { index: 1 })),
      chunkOf(more('{"q"', { index: 0 }), more('[1', { index: 1 })),
      chunkOf(more(',2]', { index: 1 })),
      chunkOf(more(':1}', { index: 0 })),
    )
    expect(joined(deltas)).toEqual({
      0: { id: 'c1', name: 'find', arguments: '{"q":1}' },
      1: { id: 'c2', name: 'sum', arguments: '[1,2]' },
    })
  })

  it('without an index are kept apart by their place in the chunk', () => {
    expect(joined(read(chunkOf(start('c1', 'find'), start('c2', 'sum'))))).toMatchObject({
      0: { id: 'c1' },
      1: { id: 'c2' },
    })
  })

  // Gemini's compatible API sends one call to a chunk, each without an index or all with 0.
  it.each([{}, { index: 0 }])('with nothing but %j are kept apart by their ids', (index) => {
    const deltas = read(
      chunkOf(start('c1', 'find', { function: { name: 'find', arguments: '{"q":1}' }, ...index })),
      chunkOf(start('c2', 'sum', { function: { name: 'sum', arguments: '[1' }, ...index })),
      chunkOf(more(',2]', index)),
    )
    expect(joined(deltas)).toEqual({
      0: { id: 'c1', name: 'find', arguments: '{"q":1}' },
      1: { id: 'c2', name: 'sum', arguments: '[1,2]' },
    })
  })

  it('begin once, though the server repeats an empty id and name', () => {
    const deltas = read(
      chunkOf(start('c1', 'find', { index: 0 })),
      chunkOf({ index: 0, id: '', type: 'function', function: { name: '', arguments: '{}' } }),
      chunkOf({ index: 0, id: null, function: { name: null, arguments: null } }),
    )
    expect(joined(deltas)).toEqual({ 0: { id: 'c1', name: 'find', arguments: '{}' } })
    expect(deltas[1]).toEqual({ type: 'delta', tool_calls: [{ index: 0, function: { arguments: '{}' } }] })
  })

  // Older versions of vLLM make up an id for each piece.
  it('are not begun again by an id that comes without a name', () => {
    const deltas = read(
      chunkOf(start('c1', 'find', { index: 0 })),
      chunkOf(more('{"q"', { index: 0, id: 'c2', type: 'function' })),
      chunkOf(more(':1}', { index: 0, id: 'c3', type: 'function' })),
    )
    expect(joined(deltas)).toEqual({ 0: { id: 'c1', name: 'find', arguments: '{"q":1}' } })
  })

  it('may come beside a text', () => {
    expect(read(chunk({ content: 'a', tool_calls: [start('c1', 'find', { index: 0 })] }))).toMatchObject([
      { content: 'a', tool_calls: [{ id: 'c1' }] },
    ])
  })

  it('keep what is not modelled: a client must send it back', () => {
    const extra_content = { google: { thought_signature: 'sig-1' } }
    expect(JSON.stringify(read(chunkOf(start('c1', 'find', { index: 0, extra_content }))))).toContain('sig-1')
  })

  const id = expect.stringMatching(/^call_[0-9a-f]{24}$/)

  it('without ids and indexes are kept apart, and get ids', () => {
    const whole = (name: string, text: string) => ({ type: 'function', function: { name, arguments: text } })
    const both = { 0: { id, name: 'find', arguments: '{"q":1}' }, 1: { id, name: 'find', arguments: '{"q":2}' } }
    expect(joined(read(chunkOf(whole('find', '{"q":1}'), whole('find', '{"q":2}'))))).toEqual(both)
    expect(joined(read(chunkOf(whole('find', '{"q":1}')), chunkOf(whole('find', '{"q":2}'))))).toEqual(both)
    expect(
      joined(read(chunkOf(whole('find', '')), chunkOf(more('{"q":1}')), chunkOf(whole('find', '{"q":2}')))),
    ).toEqual(both)
  })

  it('that repeat their name without an id with each piece are one', () => {
    const piece = (text: string) => chunkOf({ index: 0, function: { name: 'find', arguments: text } })
    expect(joined(read(piece('{"q"'), piece(':"{'), piece('}"}')))).toEqual({
      0: { id, name: 'find', arguments: '{"q":"{}"}' },
    })
  })

  it.each([null, '0'])('may have the index %j', (index) => {
    expect(joined(read(chunkOf(start('c1', 'find', { index })), chunkOf(more('{}', { index }))))).toEqual({
      0: { id: 'c1', name: 'find', arguments: '{}' },
    })
  })

  it('are passed on once their id and their name are known, whichever comes late', () => {
    const late = [chunkOf({ index: 0, id: 'c1', function: { name: null, arguments: '{' } })]
    expect(read(...late)).toEqual([])
    expect(read(...late, chunkOf({ index: 0, function: { name: 'find', arguments: '}' } }))).toEqual([
      {
        type: 'delta',
        tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'find', arguments: '{}' } }],
      },
    ])
    const lateId = read(
      chunkOf({ index: 0, id: '', function: { name: 'find', arguments: '' } }),
      chunkOf({ index: 0, id: 'c1', function: { arguments: '{}' } }),
    )
    expect(joined(lateId)).toEqual({ 0: { id: 'c1', name: 'find', arguments: '{}' } })
  })

  it('that never get an id or a name are passed on before the end', () => {
    const reader = new ChunkReader()
    reader.read(JSON.stringify(chunkOf({ index: 0, function: { name: 'find', arguments: '{"q"' } })))
    reader.read(JSON.stringify(chunk({}, { finish_reason: 'length' })))
    expect(reader.end()).toMatchObject([
      { tool_calls: [{ id, function: { name: 'find', arguments: '{"q"' } }] },
      { type: 'done', finish_reason: 'length' },
    ])
  })

  // Writer numbers the pieces.
  it('go on with pieces that have an index of their own, but neither id nor name', () => {
    const deltas = read(
      chunkOf(start('c1', 'find', { index: 0 })),
      chunkOf({ index: 1, id: null, function: { name: null, arguments: '{"q":' } }),
      chunkOf({ index: 2, id: null, function: { name: null, arguments: '1}' } }),
    )
    expect(joined(deltas)).toEqual({ 0: { id: 'c1', name: 'find', arguments: '{"q":1}' } })
  })

  it('with the same id are two when their names differ, or when the first is complete', () => {
    const whole = (name: string, text: string, fields = {}) => ({
      id: 'c',
      function: { name, arguments: text },
      ...fields,
    })
    for (const index of [{}, { index: 0 }]) {
      expect(joined(read(chunkOf(whole('f', '{}', index)), chunkOf(whole('g', '{}', index))))).toMatchObject({
        0: { id: 'c', name: 'f', arguments: '{}' },
        1: { id: 'c_2', name: 'g', arguments: '{}' },
      })
      expect(joined(read(chunkOf(whole('f', '{"a":1}', index)), chunkOf(whole('f', '{"a":1}', index))))).toMatchObject({
        1: { name: 'f', arguments: '{"a":1}' },
      })
    }
    expect(joined(read(chunkOf(whole('f', '{}'), whole('f', '{}'))))).toMatchObject({ 1: { name: 'f' } })
    expect(joined(read(chunkOf(whole('f', '{"a":')), chunkOf(whole('f', '{"b":1}}'))))).toEqual({
      0: { id: 'c', name: 'f', arguments: '{"a":{"b":1}}' },
    })
  })

  it('with a made-up id and the name in each piece are one', () => {
    const deltas = read(
      chunkOf({ index: 0, id: 'x1', function: { name: 'f', arguments: '{"a"' } }),
      chunkOf({ index: 0, id: 'x2', function: { name: 'f', arguments: ':1}' } }),
    )
    expect(joined(deltas)).toEqual({ 0: { id: 'x1', name: 'f', arguments: '{"a":1}' } })
  })

  it('are none when they say nothing, and one when they come in both forms', () => {
    expect(read(chunk({ content: 'a', tool_calls: [{}], function_call: { name: '', arguments: '' } }))).toEqual([
      { type: 'delta', content: 'a' },
    ])
    const called = { name: 'f', arguments: '{}' }
    const both = { function_call: called, tool_calls: [{ index: 0, id: 'c', type: 'function', function: called }] }
    expect(read(chunk(both))).toMatchObject([{ tool_calls: [{ id: 'c', function: called }] }])
  })

  it('without a name are an error at the end', () => {
    const reader = new ChunkReader()
    reader.read(JSON.stringify(chunkOf({ index: 0, id: 'c', function: { arguments: '{}' } })))
    reader.read(JSON.stringify(chunk({}, { finish_reason: 'tool_calls' })))
    expect(() => reader.end()).toThrow('a tool call without a name')
  })

  it('with an index below zero are numbered by us', () => {
    expect(joined(read(chunkOf(start('c', 'f', { index: -1 }), more('{}', { index: -1 }))))).toMatchObject({
      0: { id: 'c', arguments: '{}' },
    })
  })

  it('keep fields within their function', () => {
    const fields = { name: 'f', arguments: '', provider_specific_fields: { a: 1 } }
    expect(read(chunkOf({ index: 0, id: 'c', function: fields }))).toMatchObject([
      { tool_calls: [{ carried: { openai: { call: { function: { provider_specific_fields: { a: 1 } } } } } }] },
    ])
  })

  it('of custom tools keep their form', () => {
    expect(
      read(
        chunkOf({ index: 0, id: 'c1', type: 'custom', custom: { name: 'run_sql', input: '' } }),
        chunkOf({ index: 0, custom: { input: 'SELECT 1;' } }),
      ),
    ).toEqual([
      { type: 'delta', tool_calls: [{ index: 0, id: 'c1', type: 'custom', custom: { name: 'run_sql', input: '' } }] },
      { type: 'delta', tool_calls: [{ index: 0, custom: { input: 'SELECT 1;' } }] },
    ])
  })

  it('may be a function call, the form before tools', () => {
    const carried = { openai: { legacy: true } }
    expect(
      read(chunk({ function_call: { name: 'find', arguments: '' } }), chunk({ function_call: { arguments: '{}' } })),
    ).toEqual([
      {
        type: 'delta',
        tool_calls: [{ index: 0, id, type: 'function', function: { name: 'find', arguments: '' }, carried }],
      },
      { type: 'delta', tool_calls: [{ index: 0, function: { arguments: '{}' }, carried }] },
    ])
  })

  it('are none when the list is empty or null', () => {
    expect(read(chunk({ content: 'a', tool_calls: [] }), chunk({ content: 'b', tool_calls: null }))).toEqual([
      { type: 'delta', content: 'a' },
      { type: 'delta', content: 'b' },
    ])
  })

  it('are at most 1,024, over all choices', () => {
    const calls = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => start(`c${from + i}`, 'find'))
    const reader = new ChunkReader()
    const readCalls = (index: number, from: number, to: number) =>
      reader.read(JSON.stringify(chunk({ tool_calls: calls(from, to) }, { index })))
    expect(readCalls(0, 0, 1000)[0]?.tool_calls?.at(-1)).toMatchObject({ index: 999, id: 'c999' })
    expect(readCalls(1, 0, 24)).toHaveLength(1)
    // Pieces of a known call do not count as calls.
    expect(readCalls(0, 0, 1000)[0]?.tool_calls?.at(-1)).toEqual({ index: 999, function: { arguments: '' } })
    expect(() => readCalls(1, 24, 25)).toThrow(
      expect.objectContaining({
        code: 'upstream_invalid_response',
        message: 'The upstream sent more than 1024 tool calls.',
        retryable: false,
      }),
    )
  })

  it('may have any index that is a safe integer', () => {
    const index = Number.MAX_SAFE_INTEGER
    expect(read(chunkOf(start('c1', 'find', { index })), chunkOf(more('{}', { index })))).toMatchObject([
      { tool_calls: [{ index: 0, id: 'c1' }] },
      { tool_calls: [{ index: 0, function: { arguments: '{}' } }] },
    ])
  })

  it.each<[string, unknown]>([
    ['no list', { index: 0 }],
    ['a list of texts', ['find']],
    ['an index that is a fraction', [{ index: 0.5 }]],
    ['an index that is not exact', [{ index: 2 ** 53 }]],
    ['an index that is a name', [{ index: '__proto__' }]],
    ['arguments that are no text', [{ index: 0, function: { arguments: { q: 1 } } }]],
  ])('that are malformed are not dropped in silence: %s', (_, tool_calls) => {
    expect(() => read(chunk({ tool_calls }))).toThrow(expect.objectContaining({ code: 'upstream_invalid_response' }))
  })
})
