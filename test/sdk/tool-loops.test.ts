import Anthropic from '@anthropic-ai/sdk'
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { ChatAnthropic } from '@langchain/anthropic'
import type { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { HumanMessage, ToolMessage, type AIMessageChunk, type BaseMessage } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { generateText, jsonSchema, streamText, tool, type LanguageModel } from 'ai'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import * as anthropic from '../support/anthropic-upstream.ts'
import { collect, MODEL, startScene } from '../support/both-ways.ts'
import { tools as declared } from '../support/langchain.ts'
import * as openai from '../support/openai-upstream.ts'
import type { Answer, UpstreamRequest } from '../support/upstream.ts'

// SDKs that call tools by themselves, and send the results: with the gateway in between and without it.

type RunTool = (name: string, input: object) => string
type Loop = (origin: string, run: RunTool) => Promise<string>

const city = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } as const
const nothing = { type: 'object', properties: {} } as const
const question = 'What is the weather in Köln?'
const options = { model: MODEL, apiKey: 'caller-key', maxRetries: 0 }

/** What calls three tools, and says something when it is asked again. */
const upstreams: Record<'openai' | 'anthropic', Answer> = {
  openai: (response, request) => openai.answers(isFirst(request.body) ? openai.tools : openai.text)(response, request),
  anthropic: (response, request) => anthropic.answers(isFirst(request.body) ? 'tools' : 'text')(response, request),
}

/** A thread of Anthropic's SDK leaves out what the upstream has been told. */
function isFirst({ messages }: Record<string, unknown>): boolean {
  return !JSON.stringify((messages as object[]).at(-1)).includes('sunny')
}

function runTools(origin: string, run: RunTool, stream: boolean) {
  const define = (name: string, parameters: object) => ({
    type: 'function' as const,
    function: { name, description: name, parameters, parse: JSON.parse, function: (input: object) => run(name, input) },
  })
  const params = {
    model: MODEL,
    messages: [{ role: 'user' as const, content: question }],
    tools: [define('get_weather', city), define('get_time', nothing)],
  }
  const { completions } = new OpenAI({ ...options, baseURL: `${origin}/v1` }).chat
  return stream ? completions.runTools({ ...params, stream }) : completions.runTools(params)
}

async function toolRunner(origin: string, run: RunTool, more: { stream?: boolean; thread?: false }): Promise<string> {
  const tools = [
    betaTool({ name: 'get_weather', description: '', inputSchema: city, run: (input) => run('get_weather', input) }),
    betaTool({ name: 'get_time', description: '', inputSchema: nothing, run: (input) => run('get_time', input) }),
  ]
  const { content } = await new Anthropic({ ...options, baseURL: origin }).beta.messages.toolRunner({
    model: MODEL,
    max_tokens: 100,
    messages: [{ role: 'user', content: question }],
    tools,
    ...more,
  })
  return content.map((block) => (block.type === 'text' ? block.text : '')).join('')
}

function withAiSdk(model: LanguageModel, run: RunTool) {
  const tools = {
    get_weather: tool({ inputSchema: jsonSchema<object>(city), execute: (input) => run('get_weather', input) }),
    get_time: tool({ inputSchema: jsonSchema<object>(nothing), execute: (input) => run('get_time', input) }),
  }
  // The condition has another name in AI SDK 7.
  const stopWhen = ({ steps }: { steps: unknown[] }) => steps.length === 3
  return { model, tools, stopWhen, prompt: question, maxOutputTokens: 100, maxRetries: 0 }
}

async function withLangChain(
  model: BaseChatModel,
  run: RunTool,
  ask: (model: BaseChatModel, messages: BaseMessage[]) => Promise<AIMessageChunk>,
): Promise<string> {
  const messages: BaseMessage[] = [new HumanMessage(question)]
  for (;;) {
    const answer = await ask(model, messages)
    if (!answer.tool_calls?.length) return answer.text
    messages.push(answer)
    for (const { id = '', name, args } of answer.tool_calls)
      messages.push(new ToolMessage({ tool_call_id: id, content: run(name, args) }))
  }
}

const compatible = (origin: string) => createOpenAICompatible({ name: 'sluice', baseURL: `${origin}/v1` })(MODEL)
const claude = (origin: string) => createAnthropic({ baseURL: `${origin}/v1`, apiKey: 'caller-key' })(MODEL)
const chatOpenAI = (origin: string) => new ChatOpenAI({ ...options, configuration: { baseURL: `${origin}/v1` } })
const chatAnthropic = (origin: string) => new ChatAnthropic({ ...options, anthropicApiUrl: origin })

const generated = async (model: LanguageModel, run: RunTool) => (await generateText(withAiSdk(model, run))).text
const streamed = async (model: LanguageModel, run: RunTool) => await streamText(withAiSdk(model, run)).text
const invoked = (model: BaseChatModel, run: RunTool) =>
  withLangChain(model, run, (each, messages) => each.invoke(messages, { tools: declared } as object))
const chunked = (model: BaseChatModel, run: RunTool) =>
  withLangChain(model, run, async (each, messages) => {
    const chunks = await collect<AIMessageChunk>(await each.stream(messages, { tools: declared } as object))
    return chunks.reduce((a, b) => a.concat(b))
  })

const loops: [name: string, type: 'openai' | 'anthropic', loop: Loop][] = [
  ['runTools of openai', 'openai', async (origin, run) => (await runTools(origin, run, false).finalContent()) ?? ''],
  [
    'runTools of openai, streamed',
    'openai',
    async (origin, run) => (await runTools(origin, run, true).finalContent()) ?? '',
  ],
  ['toolRunner of @anthropic-ai/sdk', 'anthropic', (origin, run) => toolRunner(origin, run, {})],
  ['toolRunner, streamed', 'anthropic', (origin, run) => toolRunner(origin, run, { stream: true })],
  ['toolRunner without a thread', 'anthropic', (origin, run) => toolRunner(origin, run, { thread: false })],
  ['generateText with openai-compatible', 'openai', (origin, run) => generated(compatible(origin), run)],
  ['streamText with openai-compatible', 'openai', (origin, run) => streamed(compatible(origin), run)],
  ['generateText with anthropic', 'anthropic', (origin, run) => generated(claude(origin), run)],
  ['streamText with anthropic', 'anthropic', (origin, run) => streamed(claude(origin), run)],
  ['ChatOpenAI', 'openai', (origin, run) => invoked(chatOpenAI(origin), run)],
  ['ChatOpenAI, streamed', 'openai', (origin, run) => chunked(chatOpenAI(origin), run)],
  ['ChatAnthropic', 'anthropic', (origin, run) => invoked(chatAnthropic(origin), run)],
  ['ChatAnthropic, streamed', 'anthropic', (origin, run) => chunked(chatAnthropic(origin), run)],
]

describe.each(loops)('%s', (_, type, loop) => {
  it('has its tools called with the same arguments, and sends the same results', async () => {
    const { upstream, gateway } = await startScene(type, upstreams[type])
    const [straight, through] = [await record(upstream.url, loop), await record(gateway.url, loop)]
    expect(through).toEqual(straight)
    expect(through.calls).toHaveLength(3)
    expect(through.text).not.toBe('')
    expect(upstream.requests).toHaveLength(4)
    const [, straightAfter, , throughAfter] = upstream.requests
    expect(asked(throughAfter!)).toEqual(asked(straightAfter!))
  })
})

/** The gateway asks for a stream with usage; a string is short for one block of text, and a tool is custom by default. */
function asked({ body: { stream: _, stream_options: _options, ...rest } }: UpstreamRequest): unknown {
  return JSON.parse(JSON.stringify(rest), (name, value: unknown) => {
    if (name === 'type' && value === 'custom') return undefined
    return name === 'content' && typeof value === 'string' ? [{ type: 'text', text: value }] : value
  })
}

async function record(origin: string, loop: Loop) {
  const calls: [name: string, input: object][] = []
  const text = await loop(origin, (name, input) => {
    calls.push([name, input])
    return `${name}: sunny`
  })
  return { calls, text }
}
