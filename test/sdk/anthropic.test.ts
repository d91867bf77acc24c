import Anthropic from '@anthropic-ai/sdk'
import { describe, expect, it } from 'vitest'
import * as anthropic from '../support/anthropic-upstream.ts'
import { bothWays, collect, meaningful, MODEL, type Outcome } from '../support/both-ways.ts'
import { answers as recordings } from '../unit/anthropic-recordings.ts'

// The official package, with a Messages server behind the gateway and without one.

type Params = Omit<Anthropic.MessageCreateParamsNonStreaming, 'model' | 'stream'>
type Event = Anthropic.MessageStreamEvent

const base = { model: MODEL, max_tokens: 100, messages: [{ role: 'user' as const, content: 'Hi!' }] }

const getWeather: Anthropic.Tool = {
  name: 'get_weather',
  description: 'The weather in a city.',
  input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  cache_control: { type: 'ephemeral' },
}

const image = (source: Anthropic.ImageBlockParam['source']): Anthropic.ImageBlockParam => ({ type: 'image', source })
const png = image({ type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' })
const pdf: Anthropic.DocumentBlockParam = {
  type: 'document',
  source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' },
  title: 'a.pdf',
}

const toolMessages: Params['messages'] = [
  { role: 'user', content: 'What is the weather in Köln and in Bonn?' },
  {
    role: 'assistant',
    content: [
      { type: 'thinking', thinking: 'Let me look.', signature: 'EqQB==' },
      { type: 'text', text: 'I look.' },
      { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Köln' } },
      { type: 'tool_use', id: 'toolu_2', name: 'get_weather', input: { city: 'Bonn' } },
    ],
  },
  {
    role: 'user',
    content: [
      { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'sunny' }, png] },
      { type: 'tool_result', tool_use_id: 'toolu_2', content: 'no such city', is_error: true },
      { type: 'text', text: 'And?', cache_control: { type: 'ephemeral' } },
    ],
  },
]

const requests: [what: string, recording: string, params: Partial<Params>][] = [
  ['a system prompt', 'text', { system: 'Be brief.' }],
  [
    'a system prompt in blocks',
    'cache',
    { system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }] },
  ],
  ['tools', 'tools', { tools: [getWeather], tool_choice: { type: 'any', disable_parallel_tool_use: true } }],
  [
    'a tool that had to be called',
    'tools',
    { tools: [getWeather], tool_choice: { type: 'tool', name: 'get_weather' } },
  ],
  [
    'a tool of Anthropic’s own',
    'server-tool',
    { tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 2 }] },
  ],
  ['the results of tools', 'text', { messages: toolMessages, tools: [getWeather] }],
  ['thinking', 'thinking', { max_tokens: 5000, thinking: { type: 'enabled', budget_tokens: 2000 } }],
  ['stop sequences', 'stop-sequence', { stop_sequences: ['\n\nHuman:', 'END'] }],
  ['a limit of tokens', 'max-tokens', { max_tokens: 5 }],
  [
    'images and documents',
    'text',
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            png,
            image({ type: 'url', url: 'https://example.com/cat.webp' }),
            pdf,
          ],
        },
      ],
    },
  ],
  [
    'every other parameter',
    'text',
    {
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      metadata: { user_id: 'user-1' },
      service_tier: 'standard_only',
      inference_geo: 'eu',
      output_config: { effort: 'low', format: { type: 'json_schema', schema: { type: 'object' } } },
      // Some of which the package no longer types.
    } as Partial<Params>,
  ],
]

function client(origin: string): Anthropic {
  return new Anthropic({ baseURL: origin, apiKey: 'caller-key', maxRetries: 0 })
}

// `compatible` is of another server, and the package does not take it for a whole answer.
const official = recordings.filter((name) => name !== 'compatible')

// Of a call that was cut off, the package makes what it can, and the gateway the text that it is.
it.each(official.filter((name) => name !== 'max-tokens'))(
  'the recording %s is the same in one piece',
  async (recording) => {
    const { straight, through } = await bothWays('anthropic', anthropic.answers(recording), (origin) =>
      client(origin).messages.create(base),
    )
    expect(straight.error).toBeUndefined()
    expect(through.result).toEqual(straight.result)
  },
)

describe.each(official)('the recording %s', (recording) => {
  it('is the same as events', async () => {
    const { straight, through } = await bothWays('anthropic', anthropic.answers(recording), async (origin) =>
      fold(await collect(await client(origin).messages.create({ ...base, stream: true }))),
    )
    expect(straight.error).toBeUndefined()
    expect(through.result).toEqual(straight.result)
  })

  it('is the same as the package puts a stream together', async () => {
    const { straight, through } = await bothWays('anthropic', anthropic.answers(recording), async (origin) => {
      const stream = client(origin).messages.stream(base)
      const blocks: Anthropic.ContentBlock[] = []
      stream.on('contentBlock', (block) => blocks.push(block))
      return { message: await stream.finalMessage(), blocks }
    })
    expect(straight.error).toBeUndefined()
    expect(through.result).toEqual(straight.result)
  })
})

describe('what is asked is asked of the upstream', () => {
  it.each(requests)('%s', async (_, recording, more) => {
    const { straight, through } = await bothWays('anthropic', anthropic.answers(recording), (origin) =>
      client(origin)
        .messages.stream({ ...base, ...more })
        .finalMessage(),
    )
    expect(straight.error).toBeUndefined()
    expect(through.result).toEqual(straight.result)
    expect(parameters(through)).toEqual(parameters(straight))
  })

  it('with the version and the betas', async () => {
    const { straight, through } = await bothWays('anthropic', anthropic.answers('compaction'), (origin) =>
      client(origin)
        .beta.messages.stream({
          ...base,
          betas: ['compact-2026-01-12', 'context-1m-2025-08-07'],
          context_management: { edits: [{ type: 'compact_20260112' }] },
        })
        .finalMessage(),
    )
    expect(straight.error).toBeUndefined()
    expect(through.result).toEqual(straight.result)
    expect(parameters(through)).toEqual(parameters(straight))
    for (const name of ['anthropic-version', 'anthropic-beta'])
      expect(through.request.headers[name]).toBe(straight.request.headers[name])
    expect(through.request.headers['x-api-key']).toBe('upstream-key')
  })
})

/** Parameters in the form in which they say most: a string is short for one block of text. */
function parameters({ request }: Outcome<unknown>): unknown {
  const { stream: _, system, messages, ...rest } = request.body as Record<string, unknown> & { messages: object[] }
  return {
    ...rest,
    system: toBlocks(system),
    messages: messages.map((message) => ({ ...message, content: toBlocks('content' in message && message.content) })),
  }
}

function toBlocks(content: unknown): unknown {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}

/**
 * What events say, however often: those that continue a text are joined, for where it is cut is the network’s business,
 * and so are those that tell of the end. Usage is what is known of it by then.
 */
function fold(events: Event[]): unknown[] {
  const folded: Record<string, unknown>[] = []
  let usage: object = {}
  for (const event of events.filter((each) => !saysNothing(each))) {
    const last = folded.at(-1) ?? {}
    switch (event.type) {
      case 'message_start':
        usage = event.message.usage
        break
      case 'message_delta':
        usage = { ...usage, ...event.usage }
        if (last.type === event.type) folded.pop()
        folded.push({ ...event, usage })
        continue
      case 'content_block_delta':
        if (last.type !== event.type || last.index !== event.index || !join(last.delta, event.delta)) break
        continue
      case 'content_block_start':
      case 'content_block_stop':
      case 'message_stop': // Each is there once.
    }
    folded.push(structuredClone<Record<string, unknown>>({ ...event }))
  }
  return folded.map(meaningful)
}

/** A delta that adds nothing, or that a call has no arguments, which another says by leaving them out. */
function saysNothing(event: Event): boolean {
  if (event.type !== 'content_block_delta') return false
  return Object.values(event.delta).includes('') || ('partial_json' in event.delta && event.delta.partial_json === '{}')
}

function join(before: unknown, { type, ...more }: Anthropic.RawContentBlockDelta): boolean {
  const delta = before as Record<string, unknown>
  if (delta.type !== type || type === 'citations_delta') return false
  for (const [name, value] of Object.entries(more)) delta[name] = `${String(delta[name])}${String(value)}`
  return true
}
