import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ChatRequest, Delta } from '../../providers/provider.ts'
import { listen } from './listen-to-mock.ts'

describe('the mock’s story', () => {
  it('is the same for the same seed, and another for another', async () => {
    const first = await listen({ seed: 7 })
    expect(await listen({ seed: 7 })).toEqual(first)
    expect((await listen({ seed: 8 })).text).not.toBe(first.text)
    expect(first.deltas.length).toBeGreaterThanOrEqual(60)
    expect(first.deltas.length).toBeLessThanOrEqual(180)
  })

  it('is told without any knob', async () => {
    const { text, done } = await listen({}, { mock: { interval_ms: 0 } })
    expect(text.length).toBeGreaterThan(100)
    expect(done).toMatchObject({ finish_reason: 'stop' })
  })

  it.each([0, 1, 63, 64, 65, 500])('has exactly %i tokens when so many are asked for', async (tokens) => {
    const { deltas, done } = await listen({ tokens })
    expect(deltas).toHaveLength(tokens)
    expect(done).toMatchObject({ finish_reason: 'stop', usage: { completion_tokens: tokens } })
  })

  it('has as many prompt tokens as the messages suggest, and adds them up', async () => {
    const messages: ChatRequest['messages'] = [
      { role: 'system', content: '12345678' },
      { role: 'user', content: [{ type: 'text', text: '1234' }] },
    ]
    const { done } = await listen({ tokens: 5 }, { messages })
    expect(done!.usage).toEqual({ prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 })
  })
})

describe('the mock’s text', () => {
  const awkward = fc.constantFrom(' ', '\n', '\r\n', '\t', '\u00a0', 'é', '👩‍👩‍👧', 'a', '.')
  const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: awkward }), fc.lorem({ maxCount: 30 }))

  it('arrives as it was given, with no character cut in two', async () => {
    await fc.assert(
      fc.asyncProperty(anyText, async (given) => {
        const { text, deltas, done } = await listen({ text: given })
        expect(text).toBe(given)
        expect(deltas.filter(({ content = '' }) => /\p{Surrogate}/u.test(content) || content === '')).toEqual([])
        expect(done).toMatchObject({ finish_reason: 'stop', usage: { completion_tokens: deltas.length } })
      }),
    )
  })

  it('ends where `tokens` says', async () => {
    const { text, deltas } = await listen({ text: 'one two three four', tokens: 2 })
    expect([text, deltas.length]).toEqual(['one two', 2])
  })
})

describe('the mock obeys max_tokens', () => {
  it.each(['max_tokens', 'max_completion_tokens'])('%s cuts the answer, which says so', async (name) => {
    const { deltas, done } = await listen({ tokens: 10 }, { [name]: 4 })
    expect(deltas).toHaveLength(4)
    expect(done).toMatchObject({ finish_reason: 'length', usage: { completion_tokens: 4 } })
  })

  it('and is not cut short by a limit that it just meets', async () => {
    const { deltas, done } = await listen({ tokens: 4 }, { max_tokens: 4 })
    expect(deltas).toHaveLength(4)
    expect(done).toMatchObject({ finish_reason: 'stop' })
  })

  it('and calls no tool when it was cut', async () => {
    const { deltas, done } = await listen({ tokens: 10, tool_call: true }, { max_tokens: 4 })
    expect(deltas.filter(({ tool_calls }) => tool_calls)).toEqual([])
    expect(done).toMatchObject({ finish_reason: 'length' })
  })
})

describe('reasoning_tokens', () => {
  it('come before the text, which they do not change', async () => {
    const plain = await listen({ tokens: 5 })
    const { deltas, text, done } = await listen({ tokens: 5, reasoning_tokens: 3 })
    expect(deltas.map(({ reasoning }) => (reasoning === undefined ? 'text' : 'thought')).join(' ')).toBe(
      'thought thought thought text text text text text',
    )
    expect(text).toBe(plain.text)
    expect(done).toMatchObject({ usage: { completion_tokens: 8 } })
  })
})

describe('tool_call', () => {
  function callOf(deltas: Delta[]) {
    const calls = deltas.flatMap(({ tool_calls = [] }) => tool_calls)
    const json = calls.map((call) => call.function?.arguments ?? '').join('')
    return { calls, arguments: JSON.parse(json) as unknown }
  }

  it('begins with an id and a name, and goes on with pieces of its arguments', async () => {
    const given = { city: 'Zürich', days: [1, 2, 3], note: 'a "quoted" text of some length' }
    const { deltas, done } = await listen({ tokens: 2, tool_call: { name: 'weather', arguments: given } })
    const { calls, arguments: joined } = callOf(deltas)
    expect(calls[0]).toEqual({
      index: 0,
      id: expect.stringMatching(/./),
      type: 'function',
      function: { name: 'weather', arguments: '' },
    })
    expect(calls.length).toBeGreaterThan(5)
    for (const call of calls.slice(1)) expect(call).toEqual({ index: 0, function: { arguments: expect.any(String) } })
    expect(joined).toEqual(given)
    expect(done).toMatchObject({ finish_reason: 'tool_calls' })
  })

  it('brings any arguments whole, with no character cut in two', async () => {
    // The one name that zod leaves out.
    const anyName = fc.string().filter((name) => name !== '__proto__')
    await fc.assert(
      fc.asyncProperty(fc.dictionary(anyName, fc.string({ unit: 'binary' })), async (given) => {
        const { deltas } = await listen({ tokens: 0, tool_call: { name: 'f', arguments: given } })
        const { calls, arguments: joined } = callOf(deltas)
        expect(joined).toEqual(JSON.parse(JSON.stringify(given)))
        expect(calls.filter((call) => /\p{Surrogate}/u.test(call.function?.arguments ?? ''))).toEqual([])
      }),
    )
  })

  it('takes the first of the request’s tools when it is `true`', async () => {
    const tools = ['first', 'second'].map((name) => ({ type: 'function', function: { name } }))
    const named = await listen({ tool_call: true }, { tools })
    expect(callOf(named.deltas).calls[0]).toMatchObject({ function: { name: 'first' } })
    const unnamed = await listen({ tool_call: true })
    expect(callOf(unnamed.deltas).calls[0]).toMatchObject({ function: { name: expect.stringMatching(/./) } })
  })
})
