import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ResponseTail, tailOf } from '../../src/usage/forwarded-usage.ts'

function usageOf(text: string, cuts: readonly number[] = []) {
  const tail = new ResponseTail()
  const bytes = Buffer.from(text)
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  for (const [i, end] of places.entries()) if (i > 0) tail.add(bytes.subarray(places[i - 1], end))
  return tail.usage()
}

const counts = (prompt_tokens: number, completion_tokens: number) => ({
  prompt_tokens,
  completion_tokens,
  total_tokens: prompt_tokens + completion_tokens,
})

describe('the usage at the end of a response', () => {
  it.each([
    ['embeddings', '{"data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}', counts(8, 0)],
    [
      'images',
      '{"usage": {"input_tokens":5,"output_tokens":7,"input_tokens_details":{"text_tokens":5}}}',
      counts(5, 7),
    ],
    ['a stream', 'data: {"usage":null}\n\ndata: {"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n', counts(1, 2)],
  ])('of %s', (_, text, usage) => {
    expect(usageOf(text)).toMatchObject(usage)
  })

  it.each([
    ['none', '{"data":[]}'],
    ['null', 'data: {"usage":{"prompt_tokens":1}}\n\ndata: {"usage":null}\n\n'],
    ['one within a text', JSON.stringify({ text: '"usage":{"prompt_tokens":8}' })],
    ['one that is cut off', '{"usage":{"prompt_tokens":8'],
    ['one too far from the end', `{"usage":{"prompt_tokens":8},"data":"${'x'.repeat(5000)}"}`],
  ])('is unknown: %s', (_, text) => {
    expect(usageOf(text)).toBeUndefined()
  })

  it('does not depend on how the response is cut', () => {
    const before = fc.nat(10_000).map((length) => `{"data":"${'ö'.repeat(length)}",`)
    fc.assert(
      fc.property(before, fc.array(fc.nat()), fc.nat(), (start, cuts, tokens) => {
        expect(usageOf(`${start}"usage":{"prompt_tokens":${tokens}}}`, cuts)).toEqual(counts(tokens, 0))
      }),
    )
  })

  it('of a stream that tells none is estimated from its events, wherever it is cut', () => {
    const event = fc.constantFrom('data: {"a":1}\n\n', 'data: x\r\n\r\n', ': comment\n\n', '\n')
    fc.assert(
      fc.property(fc.array(event), fc.integer({ min: 1, max: 40 }), (events, size) => {
        const tail = tailOf(new Map([['content-type', 'text/event-stream']]))
        const bytes = Buffer.from(events.join(''))
        for (let at = 0; at < bytes.length; at += size) tail?.add(bytes.subarray(at, at + size))
        const completion_tokens = events.filter((each) => each.startsWith('data')).length
        expect(tail?.estimate(7, false)).toMatchObject({ prompt_tokens: 7, completion_tokens, estimated: true })
      }),
    )
    const whole = tailOf(new Map([['content-type', 'application/json']]))
    expect([whole?.estimate(7, false), whole?.estimate(7, true)?.prompt_tokens]).toEqual([undefined, 7])
  })

  it('is looked for in plain JSON and event streams only', () => {
    const headers = (type: string, encoding?: string) =>
      new Map([['content-type', type], ...(encoding ? [['content-encoding', encoding] as const] : [])])
    expect(tailOf(headers('application/json; charset=utf-8'))).toBeDefined()
    expect(tailOf(headers('text/event-stream'))).toBeDefined()
    expect(tailOf(headers('audio/mpeg'))).toBeUndefined()
    expect(tailOf(headers('application/json', 'gzip'))).toBeUndefined()
    expect(tailOf(new Map())).toBeUndefined()
  })
})
