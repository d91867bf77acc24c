import { describe, expect, it } from 'vitest'
import { renderWhole } from '../../src/protocols/ui/message.ts'
import { initialState, toChunks, type Chunk } from '../../src/protocols/ui/chunks.ts'
import { uiMessages } from '../../src/protocols/ui/ui-messages.ts'
import type { Delta, Done, StreamEvent } from '../../src/stream/events.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'

const info = { id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0 }
const stop: Done = { type: 'done', finish_reason: 'stop' }

type DeltaFields = Omit<Delta, 'type'>

function chunksOf(deltas: readonly DeltaFields[], done: Done = stop): Chunk[] {
  let state = initialState(info)
  const events: StreamEvent[] = [...deltas.map((delta) => ({ type: 'delta' as const, ...delta })), done]
  return events.flatMap((event) => {
    const step = toChunks(event, state)
    state = step.state
    return step.chunks
  })
}

/** Without the start and the end of every message. */
function bodyOf(deltas: readonly DeltaFields[], done: Done = stop): Chunk[] {
  return chunksOf(deltas, done).slice(2, -2)
}

function call(index: number, json: string, start?: { id: string; name: string }): DeltaFields {
  return {
    tool_calls: [
      { index, ...(start && { id: start.id }), function: { ...(start && { name: start.name }), arguments: json } },
    ],
  }
}

const a = { id: 'call_a', name: 'find' }
const b = { id: 'call_b', name: 'sum' }

describe('a message', () => {
  it('starts with its id and its step, and ends with its reason', () => {
    expect(chunksOf([{ content: 'Hi' }])).toEqual([
      { type: 'start', messageId: 'msg_str_1' },
      { type: 'start-step' },
      { type: 'text-start', id: '0' },
      { type: 'text-delta', id: '0', delta: 'Hi' },
      { type: 'text-end', id: '0' },
      { type: 'finish-step' },
      { type: 'finish', finishReason: 'stop', messageMetadata: { model: 'm' } },
    ])
  })

  it.each<[Done['finish_reason'], string]>([
    ['length', 'length'],
    ['content_filter', 'content-filter'],
    ['tool_calls', 'tool-calls'],
  ])('that ended with %s says so', (finish_reason, finishReason) => {
    expect(chunksOf([{ content: 'Hi' }], { type: 'done', finish_reason }).at(-1)).toMatchObject({ finishReason })
  })

  it('has the usage under the names of the SDK', () => {
    const usage = {
      prompt_tokens: 9,
      completion_tokens: 5,
      total_tokens: 14,
      prompt_tokens_details: { cached_tokens: 4 },
      completion_tokens_details: { reasoning_tokens: 3 },
    }
    expect(chunksOf([], { ...stop, model: 'answered', usage }).at(-1)?.messageMetadata).toEqual({
      model: 'answered',
      usage: { inputTokens: 9, outputTokens: 5, totalTokens: 14, cachedInputTokens: 4, reasoningTokens: 3 },
    })
  })

  it('that fails leaves its parts open', () => {
    const error = { code: 'upstream_error', message: 'It fell over.', retryable: true }
    const failed = chunksOf([{ content: 'Hi' }, call(0, '{}', a)], { type: 'done', finish_reason: 'error', error })
    expect(failed.slice(-3)).toEqual([
      { type: 'tool-input-delta', toolCallId: 'call_a', inputTextDelta: '{}' },
      { type: 'error', errorText: 'It fell over.' },
      { type: 'finish', finishReason: 'error' },
    ])
  })

  it('that is stopped runs no tool', () => {
    const stopped = chunksOf([{ reasoning: 'Hm' }, call(0, '{"a"', a)], { type: 'done', finish_reason: 'cancelled' })
    expect(stopped.slice(-2)).toEqual([
      { type: 'abort', reason: 'The stream was cancelled.' },
      { type: 'finish', finishReason: 'other' },
    ])
    expect(stopped.map(({ type }) => type)).not.toContain('tool-input-available')
  })

  it('has one choice', () => {
    expect(bodyOf([{ index: 1, content: 'no' }])).toEqual([])
  })
})

describe('a tool call', () => {
  it('has its input as it grows, and parsed once it is complete', () => {
    expect(bodyOf([call(0, '{"a', a), call(0, '":1}')])).toEqual([
      { type: 'tool-input-start', toolCallId: 'call_a', toolName: 'find' },
      { type: 'tool-input-delta', toolCallId: 'call_a', inputTextDelta: '{"a' },
      { type: 'tool-input-delta', toolCallId: 'call_a', inputTextDelta: '":1}' },
      { type: 'tool-input-available', toolCallId: 'call_a', toolName: 'find', input: { a: 1 } },
    ])
  })

  it('ends when the next one starts, if it is complete', () => {
    const types = bodyOf([call(0, '{}', a), call(1, '{"x', b), call(0, ' '), call(1, '":2}')])
    expect(types.map(({ type, toolCallId }) => `${type} ${String(toolCallId)}`)).toEqual([
      'tool-input-start call_a',
      'tool-input-delta call_a',
      'tool-input-available call_a',
      'tool-input-start call_b',
      'tool-input-delta call_b',
      'tool-input-delta call_b',
      'tool-input-available call_b',
    ])
  })

  it('may be mixed with another', () => {
    const chunks = bodyOf([call(0, '{"a', a), call(1, '{"b', b), call(0, '":1}'), call(1, '":2}')])
    expect(chunks.filter(({ type }) => type === 'tool-input-available')).toMatchObject([
      { toolCallId: 'call_a', input: { a: 1 } },
      { toolCallId: 'call_b', input: { b: 2 } },
    ])
  })

  it('may be mixed with hundreds of others, and none ends before its input', () => {
    const calls = Array.from({ length: 500 }, (_, i) => i)
    const chunks = bodyOf([
      ...calls.map((i) => call(i, '{"a":', { id: `call_${i}`, name: 'find' })),
      ...calls.map((i) => call(i, `${i}}`)),
    ])
    expect(chunks.filter(({ type }) => type === 'tool-input-error')).toEqual([])
    const inputs = chunks.flatMap(({ type, input }) => (type === 'tool-input-available' ? [input] : []))
    expect(inputs).toEqual(calls.map((i) => ({ a: i })))
  })

  it.each(['{"a": ', '[1', 'nonsense'])('with an input that is no JSON is an error: %s', (json) => {
    expect(bodyOf([call(0, json, a)], { type: 'done', finish_reason: 'length' }).at(-1)).toMatchObject({
      type: 'tool-input-error',
      toolCallId: 'call_a',
      toolName: 'find',
      input: json,
      errorText: expect.stringContaining('not valid JSON'),
    })
  })

  it('without an input has an empty one', () => {
    expect(bodyOf([call(0, '', a)]).at(-1)).toMatchObject({ type: 'tool-input-available', input: {} })
  })

  it('is why the answer ended, whatever the upstream says', () => {
    expect(chunksOf([call(0, '{}', a)]).at(-1)).toMatchObject({ finishReason: 'tool-calls' })
  })

  it('that the provider runs comes with its result', () => {
    const search = { type: 'server_tool_use', id: 'srv_1', name: 'web_search', input: {} }
    const result = { type: 'web_search_tool_result', tool_use_id: 'srv_1', content: [{ url: 'https://a.example' }] }
    const chunks = bodyOf([
      { carried: { anthropic: { message_start: {}, content_block: search } } },
      { carried: { anthropic: { content_block_delta: { type: 'input_json_delta', partial_json: '{"query":"a"}' } } } },
      { carried: { anthropic: { content_block: result } } },
    ])
    const named = { toolCallId: 'srv_1', toolName: 'web_search', providerExecuted: true, dynamic: true }
    expect(chunks).toEqual([
      { type: 'tool-input-start', ...named },
      { type: 'tool-input-delta', toolCallId: 'srv_1', inputTextDelta: '{"query":"a"}' },
      { type: 'tool-input-available', ...named, input: { query: 'a' } },
      {
        type: 'tool-output-available',
        toolCallId: 'srv_1',
        output: [{ url: 'https://a.example' }],
        providerExecuted: true,
      },
    ])
    expect(chunksOf([]).at(-1)).toMatchObject({ finishReason: 'stop' })
  })

  it('has no result that nobody called for', () => {
    const content_block = { type: 'web_search_tool_result', tool_use_id: 'srv_1', content: [] }
    expect(bodyOf([{ carried: { anthropic: { message_start: {}, content_block } } }])).toEqual([])
  })
})

describe('sources', () => {
  const page = { type: 'source-url', sourceId: 'source-0', url: 'https://a.example', title: 'A' }

  it.each<[what: string, deltas: DeltaFields[]]>([
    [
      'annotations',
      [
        { content: 'a' },
        {
          carried: {
            openai: {
              delta: { annotations: [{ type: 'url_citation', url_citation: { url: page.url, title: 'A' } }] },
            },
          },
        },
      ],
    ],
    [
      'citations',
      [
        { content: 'a', carried: { anthropic: { message_start: {} } } },
        { carried: { anthropic: { citation: { type: 'web_search_result_location', url: page.url, title: 'A' } } } },
      ],
    ],
    [
      'results of a search',
      [
        {
          content: 'a',
          carried: { openai: { chunk: { search_results: [{ url: page.url, title: 'A' }], citations: [page.url] } } },
        },
      ],
    ],
  ])('come from %s, each once', (_, deltas) => {
    const chunks = bodyOf([...deltas, ...deltas])
    expect(chunks.filter(({ type }) => type.startsWith('source'))).toEqual([page])
  })

  it('may be documents', () => {
    const citation = { type: 'page_location', document_title: 'Report', document_index: 0 }
    expect(bodyOf([{ content: 'a' }, { carried: { anthropic: { citation } } }])).toContainEqual({
      type: 'source-document',
      sourceId: 'source-0',
      mediaType: 'text/plain',
      title: 'Report',
    })
  })
})

describe('an encoder', () => {
  const log = new StreamLog(info)
  for (const content of ['a', 'b']) log.append({ type: 'delta', content })
  log.append({ type: 'delta', ...call(0, '{"a":1}', a) })
  log.append(stop)

  it('numbers the last chunk of each event, and ends with a mark', () => {
    const { text, frames } = uiMessages.encoder(info).encode(log.read(0, 4, { merge: false })!)
    expect(text).toContain('data: {"type":"start-step"}\n\ndata: {"type":"text-start","id":"0"}\n\n')
    expect(text).toContain('"delta":"a"}\nid: 1\n\n')
    expect(text).toMatch(/id: 4\n\ndata: \[DONE\]\n\n$/)
    expect(frames).toBe(text.split('\n\n').length - 2)
  })

  it('skips to any cursor, over merged events, too', () => {
    for (const cursor of [1, 2, 3]) {
      const whole = uiMessages.encoder(info).encode(log.read(0, 4, { merge: false })!).text
      const skipped = uiMessages.encoder(info).skip!(log.read(0, cursor)!)
      const rest = skipped.encode(log.read(cursor, 4, { merge: false })!).text
      expect(whole).toBe(whole.slice(0, whole.length - rest.length) + rest)
      expect(whole.slice(0, -rest.length)).toMatch(new RegExp(`id: ${cursor}\n\n$`))
    }
  })

  it('adds up to the message that a page has', async () => {
    expect(await renderWhole(log)).toEqual({
      id: 'msg_str_1',
      role: 'assistant',
      metadata: { finishReason: 'tool-calls', model: 'm' },
      parts: [
        { type: 'step-start' },
        { type: 'text', text: 'ab', state: 'done' },
        { type: 'tool-find', toolCallId: 'call_a', state: 'input-available', input: { a: 1 } },
      ],
    })
  })
})
