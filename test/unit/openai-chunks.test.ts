import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChunkReader } from '../../providers/openai/chunks.ts'
import type { Delta } from '../../providers/provider.ts'
import { checkEvent } from '../../src/stream/check-event.ts'
import { chunk, endOf, read } from './read-chunks.ts'

const USAGE = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 }

describe('streams as providers send them', () => {
  it('OpenAI: a role, texts, a finish, and a usage chunk without choices', () => {
    const details = { ...USAGE, completion_tokens_details: { reasoning_tokens: 2 } }
    const chunks = [
      chunk({ role: 'assistant', content: '', refusal: null }, { logprobs: null }, { service_tier: 'default' }),
      chunk({ content: 'Hel' }, { logprobs: null }, { service_tier: 'default', obfuscation: 'x1' }),
      chunk({ content: 'lo' }, { logprobs: null }, { service_tier: 'default', usage: null }),
      chunk({}, { finish_reason: 'stop' }, { service_tier: 'default' }),
      chunk({}, {}, { choices: [], usage: details, service_tier: 'default' }),
      '[DONE]',
    ]
    expect(read(...chunks)).toEqual([
      { type: 'delta', role: 'assistant', carried: { openai: { chunk: { service_tier: 'default' } } } },
      { type: 'delta', content: 'Hel' },
      { type: 'delta', content: 'lo' },
    ])
    expect(endOf(...chunks)).toEqual({ type: 'done', finish_reason: 'stop', usage: details })
  })

  it('Azure: prompt filter results before the first choice, and content filters beside texts', () => {
    const filters = [{ prompt_index: 0, content_filter_results: { hate: { filtered: false } } }]
    const deltas = read(
      { id: '', object: '', created: 0, model: '', choices: [], prompt_filter_results: filters },
      chunk({ content: 'Hi' }, { content_filter_results: {} }, { id: 'chatcmpl-1', created: 1700, model: 'gpt-4o' }),
      chunk({}, { finish_reason: 'content_filter', content_filter_results: { hate: { filtered: true } } }),
    )
    expect(deltas).toEqual([
      {
        type: 'delta',
        carried: { openai: { chunk: { id: '', object: '', created: 0, model: '', prompt_filter_results: filters } } },
      },
      {
        type: 'delta',
        content: 'Hi',
        carried: {
          openai: {
            chunk: { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1700, model: 'gpt-4o' },
            choice: { content_filter_results: {} },
          },
        },
      },
      { type: 'delta', carried: { openai: { choice: { content_filter_results: { hate: { filtered: true } } } } } },
    ])
  })

  it('DeepSeek: reasoning_content, with content that is null, then the other way round', () => {
    expect(
      read(
        chunk({ role: 'assistant', content: null, reasoning_content: 'Hm' }),
        chunk({ content: 'Yes', reasoning_content: null }),
      ),
    ).toEqual([
      { type: 'delta', role: 'assistant', reasoning: 'Hm', carried: { openai: { delta: { content: null } } } },
      { type: 'delta', content: 'Yes' },
    ])
  })

  it('OpenRouter: reasoning, its details, and the provider that answers, told once', () => {
    const details = [{ type: 'reasoning.text', text: 'Hm' }]
    expect(
      read(
        chunk(
          { content: '', reasoning: 'Hm', reasoning_details: details },
          { native_finish_reason: null },
          { provider: 'X' },
        ),
        chunk({ content: 'Yes', reasoning: null }, {}, { provider: 'X' }),
        chunk({ content: '' }, { finish_reason: 'stop', native_finish_reason: 'STOP' }, { provider: 'X' }),
      ),
    ).toEqual([
      {
        type: 'delta',
        reasoning: 'Hm',
        carried: {
          openai: {
            chunk: { provider: 'X' },
            delta: { content: '', reasoning_details: details },
            reasoning_fields: ['reasoning'],
          },
        },
      },
      { type: 'delta', content: 'Yes' },
      { type: 'delta', carried: { openai: { choice: { native_finish_reason: 'STOP' } } } },
    ])
  })

  it('vLLM: reasoning under both of its names is told once, with its names', () => {
    const told = (...reasoning_fields: string[]) => [
      { type: 'delta', reasoning: 'Hm', carried: { openai: { reasoning_fields } } },
    ]
    const both = chunk({ reasoning: 'Hm', reasoning_content: 'Hm' })
    expect(read(both)).toEqual(told('reasoning_content', 'reasoning'))
    expect(read(both, both)).toEqual([...told('reasoning_content', 'reasoning'), { type: 'delta', reasoning: 'Hm' }])
    expect(read(chunk({ reasoning: 'Hm', reasoning_content: '' }))).toEqual(told('reasoning'))
  })

  it('Mistral: content in parts, of which some are thoughts, as they came for clients of this wire', () => {
    const told = (texts: object, ...content: object[]) => ({
      type: 'delta',
      ...texts,
      carried: { openai: { delta: { content } } },
    })
    expect(
      read(
        chunk({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }], closed: true }] }),
        chunk({ content: [{ type: 'thinking', thinking: 'so' }] }),
        chunk({
          content: [
            { type: 'text', text: 'Ye' },
            { type: 'text', text: 's' },
          ],
        }),
      ),
    ).toEqual([
      told({ reasoning: 'Hm' }, { type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }], closed: true }),
      told({ reasoning: 'so' }, { type: 'thinking', thinking: 'so' }),
      told({ content: 'Yes' }, { type: 'text', text: 'Ye' }, { type: 'text', text: 's' }),
    ])
  })

  it('Mistral: parts that are neither text nor thought are carried, not dropped', () => {
    const deltas = read(
      chunk({
        content: [
          { type: 'reference', reference_ids: [1, 2] },
          { type: 'text', text: 'a' },
        ],
      }),
    )
    expect(deltas.map(({ content = '' }) => content).join('')).toBe('a')
    expect(JSON.stringify(deltas)).toContain('"reference_ids":[1,2]')
  })

  it('Ollama and llama.cpp: a role and a fingerprint on every chunk, told once', () => {
    const fields = { system_fingerprint: 'fp_ollama' }
    expect(
      read(
        chunk({ role: 'assistant', content: 'Hel' }, {}, fields),
        chunk({ role: 'assistant', content: 'lo' }, {}, fields),
        chunk({ role: 'assistant', content: '' }, { finish_reason: 'stop' }, fields),
      ),
    ).toEqual([
      { type: 'delta', role: 'assistant', content: 'Hel', carried: { openai: { chunk: fields } } },
      { type: 'delta', content: 'lo' },
    ])
  })

  it('Groq: x_groq, when it changes', () => {
    expect(
      read(
        chunk({ role: 'assistant', content: '' }, {}, { x_groq: { id: 'req_1' } }),
        chunk({}, { finish_reason: 'stop' }, { x_groq: { id: 'req_1', usage: USAGE } }),
      ),
    ).toEqual([
      { type: 'delta', role: 'assistant', carried: { openai: { chunk: { x_groq: { id: 'req_1' } } } } },
      { type: 'delta', carried: { openai: { chunk: { x_groq: { id: 'req_1', usage: USAGE } } } } },
    ])
  })
})

describe('what identifies an answer', () => {
  it('is told once, though some servers change it with every chunk', () => {
    const identity = { id: 'chatcmpl-1', created: 1700, model: 'gpt-4o' }
    expect(
      read(
        chunk({ content: 'a' }, {}, identity),
        chunk({ content: 'b' }, {}, identity),
        chunk({ content: 'c' }, {}, { id: 'chatcmpl-2', created: 1701, model: 'gpt-4o-mini' }),
      ),
    ).toEqual([
      { type: 'delta', content: 'a', carried: { openai: { chunk: identity } } },
      { type: 'delta', content: 'b' },
      { type: 'delta', content: 'c' },
    ])
  })
})

describe('choices', () => {
  it('are kept apart, each with its role', () => {
    const both = (deltas: unknown[]) => ({
      ...chunk({}),
      choices: deltas.map((delta, index) => ({ index, delta, finish_reason: null })),
    })
    expect(
      read(
        both([
          { role: 'assistant', content: 'a' },
          { role: 'assistant', content: 'b' },
        ]),
        both([{ content: 'c' }, {}]),
      ),
    ).toEqual([
      { type: 'delta', role: 'assistant', content: 'a' },
      { type: 'delta', index: 1, role: 'assistant', content: 'b' },
      { type: 'delta', content: 'c' },
    ])
  })

  it('after the first tell how they ended beside the stream', () => {
    const finish = [chunk({}, { index: 1, finish_reason: 'length' }), chunk({}, { index: 0, finish_reason: 'stop' })]
    expect(read(...finish)).toEqual([
      { type: 'delta', index: 1, carried: { openai: { choice: { finish_reason: 'length' } } } },
    ])
    expect(endOf(...finish)).toMatchObject({ finish_reason: 'stop' })
  })

  it('may be 128, as many as a request may ask for', () => {
    expect(read(chunk({ content: 'a' }, { index: 127 }))).toEqual([{ type: 'delta', index: 127, content: 'a' }])
    expect(read(chunk({ content: 'a' }, { index: null }))).toEqual([{ type: 'delta', content: 'a' }])
  })

  // State would be kept for each, even without content.
  it.each([128, 1e9, -1, 0.5, 1e308, 'constructor', {}])('with the index %j are refused, even empty ones', (index) => {
    const invalid = expect.objectContaining({ code: 'upstream_invalid_response', retryable: false })
    expect(() => read(chunk({ content: 'a' }, { index }))).toThrow(invalid)
    expect(() => read({ choices: [{ index }] })).toThrow(invalid)
  })
})

describe('a field of the chunk itself', () => {
  it('is sent only when it changes, whatever its size', () => {
    const large = { list: Array.from({ length: 1000 }, (_, i) => i) }
    const changed = { list: large.list.with(999, 0) }
    expect(read(...[large, large, changed, changed, large].map((x) => ({ choices: [], x })))).toEqual([
      { type: 'delta', carried: { openai: { chunk: { x: large } } } },
      { type: 'delta', carried: { openai: { chunk: { x: changed } } } },
      { type: 'delta', carried: { openai: { chunk: { x: large } } } },
    ])
  })

  it('may have at most 256 names in a stream', () => {
    const names = Array.from({ length: 256 }, (_, i) => `x${i}`)
    const fields = Object.fromEntries(names.map((name) => [name, 1]))
    expect(Object.keys(read({ choices: [], ...fields })[0]?.carried?.openai?.chunk ?? {})).toEqual(names)
    expect(() => read({ choices: [], ...fields, x256: 1 })).toThrow('more than 256 different fields')
    expect(() => read({ choices: [], ...fields }, { choices: [{ index: 0, delta: { x256: 1 } }] })).toThrow(
      expect.objectContaining({ code: 'upstream_invalid_response', retryable: false }),
    )
  })
})

describe('a field named __proto__', () => {
  it.each([
    ['chunk', (proto: string) => `{"choices":[],${proto}}`],
    ['choice', (proto: string) => `{"choices":[{"delta":{},${proto}}]}`],
    ['delta', (proto: string) => `{"choices":[{"delta":{${proto}}}]}`],
  ] as const)('of a %s is carried, and sets no prototype', (level, data) => {
    const [delta] = read(data('"__proto__":{"polluted":true}'))
    expect(JSON.stringify(delta)).toBe(
      `{"type":"delta","carried":{"openai":{"${level}":{"__proto__":{"polluted":true}}}}}`,
    )
    expect(delta?.carried?.openai?.[level]).not.toHaveProperty('polluted')
  })
})

describe('the template of chunks', () => {
  const text = fc.constantFrom(
    '',
    'Hi',
    'a "quoted" \\ text',
    'of more than thirteen characters',
    '\u2028',
    '\u0000',
    '+',
  )
  const extra = fc.constantFrom({}, { x: 1 }, { x: 2 }, { meta: { content: 'Hi' } }, { content: 'Hi' })
  const fields = fc.record(
    { usage: fc.constantFrom(null, USAGE), model: fc.constantFrom('m', 'n') },
    { requiredKeys: [] },
  )
  const anyChunk = fc
    .tuple(text, extra, fields, extra, extra, fc.constantFrom(null, 'stop', 'length'))
    .map(([content, ofChunk, more, ofChoice, ofDelta, finish_reason]) =>
      chunk({ ...ofDelta, content }, { ...ofChoice, finish_reason }, { ...ofChunk, ...more }),
    )

  it('does not change the result', () => {
    const reading = (chunks: unknown[], space?: number) => {
      const reader = new ChunkReader()
      // Chunks with spaces never become a template.
      return [...chunks.flatMap((each) => reader.read(JSON.stringify(each, null, space))), endOf(...chunks)]
    }
    fc.assert(
      fc.property(fc.array(anyChunk, { minLength: 1, maxLength: 8 }), (different) => {
        const chunks = [
          ...different,
          ...different.flatMap((each) => [each, each]),
          chunk({}, { finish_reason: 'stop' }),
        ]
        expect(reading(chunks)).toEqual(reading(chunks, 1))
      }),
    )
  })

  it('is not made from another field with the same text', () => {
    const line = (other: string, content: string) =>
      `{"meta":{"content":"${other}"},"choices":[{"index":0,"delta":{"content" : "${content}"}}]}`
    const deltas = read(line('Hi', 'Hi'), line('Hi', 'Hi'), line('no text', 'Hi'))
    expect(deltas.map(({ content }) => content)).toEqual(['Hi', 'Hi', 'Hi'])
  })

  it('is not made from a chunk that repeats the field', () => {
    const line = (content: string) => `{"choices":[{"delta":{"content":"${content}","\\u0063ontent":"Hi"}}]}`
    expect(read(line('Hi'), line('Hi'), line('no text')).map(({ content }) => content)).toEqual(['Hi', 'Hi', 'Hi'])
  })

  it('is learnt again when other fields change', () => {
    const x = (value: number, content: string) => chunk({ content }, {}, { x: value })
    expect(read(x(1, 'a'), x(1, 'b'), x(2, 'c'), x(1, 'd'))).toEqual([
      { type: 'delta', content: 'a', carried: { openai: { chunk: { x: 1 } } } },
      { type: 'delta', content: 'b' },
      { type: 'delta', content: 'c', carried: { openai: { chunk: { x: 2 } } } },
      { type: 'delta', content: 'd', carried: { openai: { chunk: { x: 1 } } } },
    ])
  })
})

describe('a delta', () => {
  it('carries a refusal', () => {
    expect(read(chunk({ refusal: 'I cannot' }))).toEqual([{ type: 'delta', refusal: 'I cannot' }])
  })

  it('carries logprobs and whatever else is not modelled', () => {
    const logprobs = { content: [{ token: 'a', logprob: -0.1, bytes: [97], top_logprobs: [] }] }
    const annotations = [{ type: 'url_citation', url_citation: { url: 'https://example.org' } }]
    expect(read(chunk({ content: 'a', annotations, audio: null }, { logprobs }))).toEqual([
      { type: 'delta', content: 'a', carried: { openai: { choice: { logprobs }, delta: { annotations } } } },
    ])
  })

  it('is none when a chunk says nothing', () => {
    expect(read(chunk({}), chunk({ content: '' }), chunk(null), chunk({ content: null }), { choices: [] })).toEqual([])
  })

  it('holds only what a log takes', () => {
    const deltas: Delta[] = read(
      chunk({ role: 'assistant', content: 'a', tool_calls: [{ index: 0, id: 'c', function: { name: 'f' } }] }),
      chunk({ role: 'user', content: 'b' }, { index: 7 }),
    )
    for (const delta of deltas) expect(checkEvent(delta)).toBe(delta)
    expect(deltas.at(-1)).toEqual({ type: 'delta', index: 7, content: 'b' })
  })

  it('is not made of an empty `data`, which is some servers’ heartbeat', () => {
    expect(read('', ' ', chunk({ content: 'a' }))).toEqual([{ type: 'delta', content: 'a' }])
  })
})

describe('a reader', () => {
  it('is finished when it has read [DONE]', () => {
    const reader = new ChunkReader()
    reader.read(JSON.stringify(chunk({}, { finish_reason: 'stop' })))
    expect(reader.finished).toBe(false)
    expect(reader.read('[DONE]')).toEqual([])
    expect(reader.finished).toBe(true)
  })
})
