import { describe, expect, it } from 'vitest'
import type { StreamEvent } from '../../src/stream/events.ts'
import { produced, runGeneration, STOP, STOPPED, text } from './run-generation.ts'

/** What a provider in plain JavaScript may yield. */
function untyped(value: unknown): StreamEvent {
  return value as StreamEvent
}

describe('an event that is none', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'Hello'],
    ['a list within a list', [[text('a')]]],
    ['no type', { content: 'a' }],
    ['an unknown type', { type: 'error', message: 'No.' }],
    ['content that is no text', { type: 'delta', content: 1 }],
    ['content that is null', { type: 'delta', content: null }],
    ['reasoning that is no text', { type: 'delta', reasoning: {} }],
    ['a refusal that is no text', { type: 'delta', refusal: true }],
    ['an index that is no whole number', { type: 'delta', index: 0.5 }],
    ['an index that is a text', { type: 'delta', index: '0' }],
    ['the role of someone else', { type: 'delta', role: 'user' }],
    ['tool calls that are no list', { type: 'delta', tool_calls: { index: 0 } }],
    ['an empty list of tool calls', { type: 'delta', tool_calls: [] }],
    ['a tool call that is none', { type: 'delta', tool_calls: [null] }],
    ['a tool call without its index', { type: 'delta', tool_calls: [{ id: 'c1' }] }],
    ['a tool call whose id is no text', { type: 'delta', tool_calls: [{ index: 0, id: 1 }] }],
    ['a function that is none', { type: 'delta', tool_calls: [{ index: 0, function: 'find' }] }],
    ['a name that is no text', { type: 'delta', tool_calls: [{ index: 0, function: { name: 1 } }] }],
    ['arguments that are no text', { type: 'delta', tool_calls: [{ index: 0, function: { arguments: {} } }] }],
    ['one good tool call and one bad', { type: 'delta', tool_calls: [{ index: 0 }, {}] }],
    ['carried fields that are a list', { type: 'delta', carried: [1] }],
    ['carried fields that name no wire', { type: 'delta', carried: { logprobs: 1 } }],
    ['carried fields of a wire that are a list', { type: 'delta', carried: { openai: [1] } }],
    ['carried fields of a call that name no wire', { type: 'delta', tool_calls: [{ index: 0, carried: { a: 1 } }] }],
    ['done without a reason', { type: 'done' }],
    ['done for an unknown reason', { type: 'done', finish_reason: 'eos' }],
    // Counters add these up, and one that is no number would spoil them for good.
    [
      'token counts that are no numbers',
      { ...STOP, usage: { prompt_tokens: '9', completion_tokens: 1, total_tokens: 10 } },
    ],
    ['token counts below zero', { ...STOP, usage: { prompt_tokens: 9, completion_tokens: -1, total_tokens: 8 } }],
    ['token counts that are no object', { ...STOP, usage: 'many' }],
    ['an error that is none', { type: 'done', finish_reason: 'error', error: 'No.' }],
    [
      'an error without its code',
      { type: 'done', finish_reason: 'error', error: { message: 'No.', retryable: false } },
    ],
    ['a model that is no text', { ...STOP, model: 7 }],
  ])('ends the stream, after what came before it: %s', async (_, value) => {
    const events = await runGeneration(() => produced([text('a'), untyped(value)], STOP))
    expect(events).toMatchObject([text('a'), { finish_reason: 'error', error: { code: 'provider_invalid_event' } }])
  })

  it('is not quoted to the reader', async () => {
    const events = await runGeneration(() => produced(untyped({ type: 'delta', content: { key: 'sk-1' } })))
    expect(JSON.stringify(events)).not.toContain('sk-1')
  })
})

describe('an event that is unusual', () => {
  it.each<[string, StreamEvent]>([
    ['nothing at all', { type: 'delta' }],
    ['empty content', { type: 'delta', content: '' }],
    ['everything at once', { type: 'delta', index: 3, role: 'assistant', content: 'a', reasoning: 'b', refusal: 'c' }],
    ['a tool call of which only the index is known', { type: 'delta', tool_calls: [{ index: 2 }] }],
    ['carried fields of any depth', { type: 'delta', carried: { mine: { logprobs: { content: [null] } } } }],
  ])('is kept as it is: %s', async (_, event) => {
    expect(await runGeneration(() => produced(event, STOP))).toEqual([event, STOPPED])
  })
})
