import { describe, expect, it } from 'vitest'
import { parseMediaRanges, preferredType } from '../../src/media-types.ts'

const SSE = 'text/event-stream'
const JSON_TYPE = 'application/json'

describe('the preferred type', () => {
  it.each<[accept: string, preferred: string | undefined]>([
    // The first offer, when there is no preference.
    ['', SSE],
    ['*/*', SSE],
    ['text/html, */*;q=0.8', SSE],

    // A type with any parameters.
    [SSE, SSE],
    ['text/event-stream;charset=utf-8', SSE],
    ['Text/Event-Stream ; Charset="UTF-8"', SSE],
    ['application/json; charset=utf-8', JSON_TYPE],
    ['application/json;profile="a=b";q=0.9', JSON_TYPE],

    // Weights, then the order of the header.
    ['application/json, text/event-stream', JSON_TYPE],
    ['text/event-stream, application/json', SSE],
    ['application/json;q=0.5, text/event-stream;q=0.6', SSE],
    ['application/json, */*', JSON_TYPE],
    ['*/*, application/json', JSON_TYPE],
    ['text/event-stream;q=0.1, */*', JSON_TYPE],
    ['application/*', JSON_TYPE],
    ['text/*;q=0.2, application/*;q=0.1', SSE],
    ['application/json;v=1;q=0.1, application/json;v=2;q=0.9, text/event-stream;q=0.5', JSON_TYPE],

    // What is ruled out.
    ['text/event-stream;q=0', undefined],
    ['text/event-stream;q=0, */*', JSON_TYPE],
    ['*/*;q=0', undefined],
    ['image/png', undefined],
    ['text/html, image/*', undefined],

    // What makes no sense rules nothing out.
    [',, ,', SSE],
    ['text/event-stream;q=much', SSE],
    ['application/json;q=7, text/event-stream', JSON_TYPE],
    ['application/json;;=;q', JSON_TYPE],
  ])('of %j is %j', (accept, preferred) => {
    expect(preferredType(accept, [SSE, JSON_TYPE])).toBe(preferred)
  })

  it('is found in linear time, whatever the header', () => {
    const header = 'a/b;"'.repeat(100_000)
    expect(preferredType(header, [SSE])).toBeUndefined()
    expect(parseMediaRanges(','.repeat(100_000))).toEqual([])
  })
})

describe('a media range', () => {
  it('has its parameters by lower-case name, without quotes and without its weight', () => {
    const [range] = parseMediaRanges('text/event-stream; Protocol="openai-chat"; Q=0.4')
    expect(range).toEqual({ type: SSE, parameters: new Map([['protocol', 'openai-chat']]), weight: 0.4 })
  })
})
