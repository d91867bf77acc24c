import type { ServerResponse } from 'node:http'
import { anthropic } from '../../providers/anthropic/anthropic.ts'
import { openai } from '../../providers/openai/openai.ts'
import type { ChatRequest } from '../../providers/provider.ts'
import { chatChunks, chunk, startUpstream, type Answer } from '../support/upstream.ts'
import { describeProvider, type ProviderSubject } from './provider.ts'

/** How an upstream says a text, in pieces, and the end. */
interface Dialect {
  start: string
  say: (text: string) => string
  end: string
}

const chatCompletions: Dialect = {
  start: chatChunks(chunk({ role: 'assistant', content: '' })),
  say: (content) => chatChunks(chunk({ content })),
  end: chatChunks(
    chunk({}, { finish_reason: 'stop' }),
    { choices: [], usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } },
    '[DONE]',
  ),
}

const frame = (event: Record<string, unknown>) => `event: ${String(event.type)}\ndata: ${JSON.stringify(event)}\n\n`
const messages: Dialect = {
  start:
    frame({
      type: 'message_start',
      message: { id: 'msg_1', model: 'm', content: [], usage: { input_tokens: 1, output_tokens: 1 } },
    }) + frame({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
  say: (text) => frame({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }),
  end:
    frame({ type: 'content_block_stop', index: 0 }) +
    frame({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } }) +
    frame({ type: 'message_stop' }),
}

const output: Record<string, unknown>[] = [{ type: 'message', role: 'assistant', content: [] }]
const responses: Dialect = {
  start:
    frame({ type: 'response.created', response: { status: 'in_progress', model: 'm', output: [] } }) +
    frame({ type: 'response.output_item.added', output_index: 0, item: output[0] }),
  say: (delta) => frame({ type: 'response.output_text.delta', output_index: 0, content_index: 0, delta }),
  end: frame({
    type: 'response.completed',
    response: { status: 'completed', output, usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 } },
  }),
}

/** An upstream that does what the prompt says: repeats the text after `say `, never ends, or never begins. */
function obey({ start, say, end }: Dialect): Answer {
  return async (response, { body }) => {
    const prompt = textOf(body)
    if (prompt === 'silent') return
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(start)
    if (prompt === 'endless') return pour(response, say('on and '))
    for (const piece of prompt.match(/[\s\S]{1,3}/gu) ?? []) response.write(say(piece))
    response.end(end)
  }
}

function textOf({ messages: asked, input }: Record<string, unknown>): string {
  const [{ content }] = (asked ?? input) as [{ content: string | [{ text: string }] }]
  return typeof content === 'string' ? content : content[0].text
}

async function pour(response: ServerResponse, text: string): Promise<void> {
  while (!response.destroyed) {
    if (!response.write(text)) await new Promise((resolve) => response.once('drain', resolve).once('close', resolve))
    else await new Promise((resolve) => setImmediate(resolve))
  }
}

function ask(content: string): ChatRequest {
  return { model: 'm', messages: [{ role: 'user', content }] }
}

const requests: Omit<ProviderSubject, 'provider'> = {
  answer: ask,
  endless: () => ask('endless'),
  silent: () => ask('silent'),
}

describeProvider('openai', async () => {
  const { url } = await startUpstream(obey(chatCompletions))
  return { provider: openai({ name: 'openai', baseUrl: url, headers: {}, includeUsage: true }), ...requests }
})

describeProvider('openai with the Responses API', async () => {
  const { url } = await startUpstream(obey(responses))
  const options = { name: 'openai', baseUrl: url, headers: {}, includeUsage: true, api: 'responses' as const }
  return { provider: openai(options), ...requests }
})

describeProvider('anthropic', async () => {
  const { url } = await startUpstream(obey(messages))
  return { provider: anthropic({ name: 'anthropic', baseUrl: url, headers: {}, maxTokens: 100 }), ...requests }
})
