// An answer that Sluice sent, sent back in the next turn: to the upstream it is what that upstream's own SDK would send.

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MessageReader } from '../../providers/anthropic/events.ts'
import { convertRequest as toAnthropic } from '../../providers/anthropic/request.ts'
import { convertRequest as toOpenAI } from '../../providers/openai/request.ts'
import { serverAt } from '../../providers/openai/servers.ts'
import { parseChat, type ChatInput } from '../../src/chat-request.ts'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'
import { collectMessage } from '../../src/protocols/native/native.ts'
import { openaiChat } from '../../src/protocols/openai/chat.ts'
import type { StreamLog } from '../../src/stream/stream-log.ts'
import { logOf } from './anthropic-recordings.ts'
import { chunk, read } from './read-chunks.ts'

type Json = Record<string, unknown>

const copyOf = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
const ask = { role: 'user', content: 'hi' }

/** How a client sends an answer back, with results of its calls. */
const clients: Record<string, (log: StreamLog) => Promise<ChatInput>> = {
  async native(log) {
    const message = copyOf(await collectMessage(log)) as { tool_calls?: { id: string }[] }
    return parseChat({ messages: [ask, message, ...resultsOf(message)] })
  },
  async 'openai-chat'(log) {
    const { choices } = copyOf(await openaiChat.renderWhole(log)) as {
      choices: { message: { tool_calls?: { id: string }[] } }[]
    }
    const { message } = choices[0]!
    return openaiChat.parse({ model: 'm', messages: [ask, message, ...resultsOf(message)] }, {}).input
  },
  async 'anthropic-messages'(log) {
    const { content } = copyOf(await anthropicMessages.renderWhole(log)) as { content: Json[] }
    const calls = content.filter(({ type }) => type === 'tool_use')
    const results = calls.map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: '1' }))
    const messages = [
      ask,
      { role: 'assistant', content },
      { role: 'user', content: [...results, { type: 'text', text: 'go on' }] },
    ]
    return anthropicMessages.parse({ model: 'm', max_tokens: 9, messages }, {}).input
  },
}

function resultsOf({ tool_calls = [] }: { tool_calls?: { id: string }[] }): object[] {
  return [
    ...tool_calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: '1' })),
    { ...ask, content: 'go on' },
  ]
}

const word = fc.string({ minLength: 1, maxLength: 6 }).filter((text) => text.trim() !== '')
const json = fc.dictionary(word, fc.integer(), { maxKeys: 2 }).map((fields) => JSON.stringify(fields))
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })

describe('an upstream of Chat Completions', () => {
  const anyCall = fc.record({ name: fc.constant('f'), args: json, signature: maybe(word) })
  const anything = fc.record({
    content: maybe(word),
    reasoning: maybe(word),
    names: fc.constantFrom<string[]>(['reasoning_content'], ['reasoning'], ['reasoning_content', 'reasoning']),
    refusal: maybe(word),
    details: maybe(
      fc.array(fc.record({ type: fc.constant('reasoning.encrypted'), data: word }), { minLength: 1, maxLength: 2 }),
    ),
    calls: fc.array(anyCall, { maxLength: 3 }),
    extra_content: maybe(fc.constant({ google: { thought_signature: 'of the message' } })),
  })
  type Answer = typeof anything extends fc.Arbitrary<infer T> ? T : never

  /** One that says nothing is refused by upstreams, and does not come back to them. */
  const saysSomething = ({ content, reasoning, refusal, details, calls }: Answer) =>
    [content, reasoning, refusal, details, calls[0]].some((part) => part !== undefined)
  const anyAnswer = anything.filter(saysSomething)

  function toMessage({ content, reasoning, names, refusal, details, calls, extra_content }: Answer): Json {
    const tool_calls = calls.map(({ name, args, signature }, i) => ({
      id: `call_${i}`,
      type: 'function',
      function: { name, arguments: args },
      ...(signature !== undefined && { extra_content: { google: { thought_signature: signature } } }),
    }))
    return {
      role: 'assistant',
      content: content ?? null,
      ...(reasoning !== undefined && Object.fromEntries(names.map((name) => [name, reasoning]))),
      ...(refusal !== undefined && { refusal }),
      ...(details && { reasoning_details: details }),
      ...(extra_content && { extra_content }),
      ...(calls.length > 0 && { tool_calls }),
    }
  }

  /** The answer in as many chunks as it has fields. */
  function logWith(message: Json): StreamLog {
    const { role, tool_calls = [], ...fields } = message as { role: string; tool_calls?: Json[] }
    const deltas: object[] = [
      { role, content: null },
      ...Object.entries(fields).map(([name, value]) => ({ [name]: value })),
    ]
    // Both names of the reasoning come in one chunk.
    const { reasoning, reasoning_content } = message
    const chunks = deltas.filter((delta) => !('reasoning' in delta) && !('reasoning_content' in delta))
    if (reasoning ?? reasoning_content) chunks.splice(1, 0, copyOf({ reasoning, reasoning_content }) as object)
    for (const [index, call] of tool_calls.entries()) chunks.push({ tool_calls: [{ index, ...call }] })
    const finish_reason = tool_calls.length > 0 ? ('tool_calls' as const) : ('stop' as const)
    return logOf([...read(...chunks.map((delta) => chunk(delta))), { type: 'done', finish_reason }])
  }

  const back = (input: ChatInput) =>
    copyOf(toOpenAI({ ...input, model: 'm' }, serverAt('http://127.0.0.1/v1'))) as { messages: Json[] }

  it.each(['native', 'openai-chat'])('gets its message back through %s', async (client) => {
    await fc.assert(
      fc.asyncProperty(anyAnswer, async (answer) => {
        const message = toMessage(answer)
        const { messages } = back(await clients[client]!(logWith(message)))
        expect(normal(messages[1]!)).toEqual(normal(message))
      }),
    )
  })

  it('gets its message back through anthropic-messages, apart from what that has no name for', async () => {
    const expressible = anything
      .map((answer) => ({
        ...answer,
        names: ['reasoning_content'],
        refusal: undefined,
        details: undefined,
        extra_content: undefined,
      }))
      .filter(saysSomething)
    await fc.assert(
      fc.asyncProperty(expressible, async (answer) => {
        const message = toMessage(answer)
        const { messages } = back(await clients['anthropic-messages']!(logWith(message)))
        expect(normal(messages[1]!)).toEqual(normal(message))
        expect(messages.slice(2).map(({ role }) => role)).toEqual([...answer.calls.map(() => 'tool'), 'user'])
      }),
    )
  })

  /** Empty content and none are the same, and the text of arguments is what it says. */
  function normal({ content, tool_calls, ...rest }: Json): Json {
    const calls = (tool_calls as { function: { arguments: string } }[] | undefined)?.map((call) => ({
      ...call,
      function: { ...call.function, arguments: JSON.parse(call.function.arguments) as unknown },
    }))
    return { ...rest, content: content || null, ...(calls && { tool_calls: calls }) }
  }
})

describe('Anthropic', () => {
  const input = fc.dictionary(word, fc.integer(), { maxKeys: 2, noNullPrototype: true })
  const anyBlock = fc.oneof(
    fc.record({ type: fc.constant('text'), text: word }),
    fc.record({ type: fc.constant('thinking'), thinking: word, signature: word }),
    fc.record({ type: fc.constant('redacted_thinking'), data: word }),
    fc.record({ type: fc.constant('tool_use'), id: fc.constant(''), name: fc.constant('f'), input }),
  )
  const anyContent = fc
    .array(anyBlock, { minLength: 1, maxLength: 6 })
    .map((blocks) =>
      blocks.map((block, i): Json => (block.type === 'tool_use' ? { ...block, id: `toolu_${i}` } : block)),
    )

  function logWith(content: readonly Json[]): StreamLog {
    const reader = new MessageReader()
    const say = (event: object) => reader.read(JSON.stringify(event))
    const usage = { input_tokens: 1, output_tokens: 1 }
    const events = [
      ...say({
        type: 'message_start',
        message: { id: 'msg_1', type: 'message', role: 'assistant', content: [], model: 'c', usage },
      }),
      ...content.flatMap((block, index) => [
        ...say({ type: 'content_block_start', index, content_block: startOf(block) }),
        ...deltasOf(block).flatMap((delta) => say({ type: 'content_block_delta', index, delta })),
        ...say({ type: 'content_block_stop', index }),
      ]),
      ...say({ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage }),
      ...say({ type: 'message_stop' }),
    ]
    return logOf([...events, ...reader.end()])
  }

  function startOf(block: Json): Json {
    if (block.type === 'text') return { type: 'text', text: '' }
    if (block.type === 'thinking') return { type: 'thinking', thinking: '', signature: '' }
    return block.type === 'tool_use' ? { ...block, input: {} } : block
  }

  function deltasOf({ type, text, thinking, signature, input: value }: Json): Json[] {
    if (type === 'text') return [{ type: 'text_delta', text }]
    if (type === 'thinking')
      return [
        { type: 'thinking_delta', thinking },
        { type: 'signature_delta', signature },
      ]
    return type === 'tool_use' ? [{ type: 'input_json_delta', partial_json: JSON.stringify(value) }] : []
  }

  const back = (given: ChatInput) =>
    copyOf(toAnthropic({ ...given, model: 'm' }, 9).body) as { messages: { content: Json[] }[] }

  it.each(['native', 'anthropic-messages'])('gets its blocks back through %s, in any order', async (client) => {
    await fc.assert(
      fc.asyncProperty(anyContent, async (content) => {
        const { messages } = back(await clients[client]!(logWith(content)))
        expect(messages[1]!.content).toEqual(content)
      }),
    )
  })

  it('gets its blocks back through openai-chat, in the order that this has', async () => {
    await fc.assert(
      fc.asyncProperty(anyContent, async (content) => {
        const { messages } = back(await clients['openai-chat']!(logWith(content)))
        const isThought = ({ type }: Json) => type === 'thinking' || type === 'redacted_thinking'
        const text = content.map((block) => (block.type === 'text' ? String(block.text) : '')).join('')
        expect(messages[1]?.content ?? []).toEqual([
          ...content.filter(isThought),
          ...(text ? [{ type: 'text', text }] : []),
          ...content.filter(({ type }) => type === 'tool_use'),
        ])
      }),
    )
  })

  it('gets no thoughts of another upstream', async () => {
    const log = logOf([
      { type: 'delta', reasoning: 'Hm' },
      { type: 'delta', content: 'Yes', carried: { openai: { delta: { reasoning_details: [{ format: 'x' }] } } } },
      { type: 'done', finish_reason: 'stop' },
    ])
    for (const client of Object.values(clients))
      expect(back(await client(log)).messages[1]).toEqual({
        role: 'assistant',
        content: [{ type: 'text', text: 'Yes' }],
      })
  })
})
