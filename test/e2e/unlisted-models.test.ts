import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chatChunks, chunk, startUpstream } from '../support/upstream.ts'

const ENTRY = { headers: {}, includeUsage: true, maxTokens: 100, listModels: false }
const message = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'm',
  content: [{ type: 'text', text: 'from anthropic' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 1, output_tokens: 1 },
}

/** A gateway with a provider of each type, and SDKs of both vendors. */
async function start() {
  const openaiUpstream = await startUpstream((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(chatChunks(chunk({ content: 'from openai' }), chunk({}, { finish_reason: 'stop' }), '[DONE]'))
  })
  const anthropicUpstream = await startUpstream((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const events = [
      { type: 'message_start', message: { ...message, content: [], stop_reason: null } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: 'from anthropic' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 1 } },
      { type: 'message_stop' },
    ]
    response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''))
  })
  const gateway = await startGateway({
    providers: {
      openai: { type: 'openai', baseUrl: `${openaiUpstream.url}/v1`, ...ENTRY },
      anthropic: { type: 'anthropic', baseUrl: anthropicUpstream.url, ...ENTRY },
    },
  })
  const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'key', maxRetries: 0 })
  const anthropic = new Anthropic({ baseURL: gateway.url, apiKey: 'key', maxRetries: 0 })
  const messages = [{ role: 'user' as const, content: 'hi' }]
  return {
    gateway,
    chat: async (model: string) =>
      (await openai.chat.completions.create({ model, messages })).choices[0]?.message.content,
    say: async (model: string) => {
      const [block] = (await anthropic.messages.create({ model, messages, max_tokens: 10 })).content
      return block?.type === 'text' ? block.text : undefined
    },
    native: (model: string) =>
      fetch(`${gateway.url}/v1/chat`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model, messages }),
      }),
  }
}

describe('a model that no provider lists', () => {
  it('goes to its vendor, else to the provider of the request’s protocol', async () => {
    const { chat, say } = await start()
    expect(await Promise.all([chat('gpt-5'), chat('claude-x'), chat('llama')])).toEqual([
      'from openai',
      'from anthropic',
      'from openai',
    ])
    expect(await Promise.all([say('gpt-5'), say('claude-x'), say('llama')])).toEqual([
      'from openai',
      'from anthropic',
      'from anthropic',
    ])
  })

  it('is unknown where neither decides', async () => {
    const { native } = await start()
    const response = await native('llama')
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ code: 'unknown_model', errors: [{ path: 'model' }] })
    expect((await native('claude-x')).status).toBe(200)
  })

  it('has a place to go that is logged at startup', async () => {
    const { gateway } = await start()
    const providers = {
      native: null,
      'openai-chat': 'openai',
      'openai-responses': 'openai',
      'anthropic-messages': 'anthropic',
      'ui-messages': null,
    }
    expect(gateway.logs).toContainEqual(expect.objectContaining({ msg: 'catch-all providers by protocol', providers }))
    const alone = await startGateway({ providers: { mock: { type: 'mock' } } })
    expect(JSON.stringify(alone.logs)).not.toContain('catch-all')
  })
})
