import { HumanMessage, ToolMessage, type AIMessageChunk } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { describe, expect, it } from 'vitest'
import * as anthropicUpstream from '../support/anthropic-upstream.ts'
import { collect } from '../support/both-ways.ts'
import { startGateway } from '../support/gateway.ts'
import { tools } from '../support/langchain.ts'
import * as openaiUpstream from '../support/openai-upstream.ts'
import { startUpstream, type Answer } from '../support/upstream.ts'

// LangChain JS through Responses, over upstreams that speak something else.

type Wire = 'openai' | 'anthropic'

async function start(wire: Wire, answer: Answer) {
  const upstream = await startUpstream(answer)
  const provider = { baseUrl: wire === 'openai' ? `${upstream.url}/v1` : upstream.url, headers: {}, apiKey: 'k' }
  const gateway = await startGateway({
    providers: {
      upstream:
        wire === 'openai'
          ? { type: wire, includeUsage: true, ...provider }
          : { type: wire, maxTokens: 4096, ...provider },
    },
    models: { model: { target: 'upstream/model', retries: 0 } },
  })
  const configuration = { baseURL: `${gateway.url}/v1` }
  const model = new ChatOpenAI({ model: 'model', apiKey: 'k', maxRetries: 0, useResponsesApi: true, configuration })
  return { upstream, model }
}

const upstreams: [Wire, Answer, Answer][] = [
  ['openai', openaiUpstream.answers(openaiUpstream.text), openaiUpstream.answers(openaiUpstream.tools)],
  ['anthropic', anthropicUpstream.answers('text'), anthropicUpstream.answers('tools')],
]

describe.each(upstreams)('over an upstream of the kind %s', (wire, text, toolCalls) => {
  it('a text is the same streamed and whole', async () => {
    const { model } = await start(wire, text)
    const whole = await model.invoke('Hi!')
    const chunks = await collect<AIMessageChunk>(await model.stream('Hi!'))
    expect(whole.text.length).toBeGreaterThan(5)
    expect(chunks.map((chunk) => chunk.text).join('')).toBe(whole.text)
    expect(whole).toMatchObject({ usage_metadata: { output_tokens: expect.any(Number) } })
  })

  it('calls come with their arguments, and their results go back', async () => {
    const { model, upstream } = await start(wire, toolCalls)
    const asking = new HumanMessage('Weather?')
    const chunks = await collect<AIMessageChunk>(await model.bindTools(tools).stream([asking]))
    const answer = chunks.reduce((a, b) => a.concat(b))
    const whole = await model.bindTools(tools).invoke([asking])
    expect(answer.tool_calls?.length).toBeGreaterThan(0)
    expect(answer.tool_calls).toEqual(whole.tool_calls)
    const results = (whole.tool_calls ?? []).map(
      ({ id = '' }) => new ToolMessage({ tool_call_id: id, content: 'sunny' }),
    )
    await model.bindTools(tools).invoke([asking, whole, ...results])
    const sent = JSON.stringify(upstream.requests.at(-1)?.body.messages)
    for (const { id = '' } of whole.tool_calls ?? []) expect(sent.split(id).length).toBeGreaterThan(2)
    expect(sent).toContain('sunny')
  })
})
