import { createAnthropic } from '@ai-sdk/anthropic'
import { readUIMessageStream, streamText, type ToolSet, type UIMessage } from 'ai'
import { expect, it } from 'vitest'
import { tools } from '../support/ai-sdk.ts'
import * as anthropic from '../support/anthropic-upstream.ts'
import { MODEL, startScene } from '../support/both-ways.ts'
import { openPage } from '../support/ui-chat.ts'
import type { Answer } from '../support/upstream.ts'
import { recordings, sdkMessage } from '../unit/anthropic-recordings.ts'

// Claude's answers, as `useChat` shows them: with the gateway, and with a route of the AI SDK's own.

/** What a message says, however it is cut into parts. */
function saidBy({ parts }: UIMessage) {
  const urls = parts.flatMap((part) => (part.type === 'source-url' ? [part.url] : []))
  return {
    text: parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join(''),
    thoughts: parts.flatMap((part) => (part.type === 'reasoning' ? [[part.text, part.providerMetadata]] : [])),
    calls: parts.flatMap((part) =>
      'toolCallId' in part ? [[part.toolCallId, 'input' in part ? part.input : undefined]] : [],
    ),
    // A page shows each source once.
    urls: [...new Set(urls)],
  }
}

async function throughRoute(origin: string): Promise<UIMessage> {
  const model = createAnthropic({ baseURL: `${origin}/v1`, apiKey: 'key' })(MODEL)
  const webSearch = createAnthropic({ apiKey: 'none' }).tools.webSearch_20250305({})
  const answer = streamText({
    model,
    prompt: 'Hi!',
    maxOutputTokens: 100,
    tools: { ...tools, web_search: webSearch as ToolSet[string] },
  })
  let last: UIMessage | undefined
  const stream = answer.toUIMessageStream({ sendSources: true })
  for await (const message of readUIMessageStream({ stream })) last = message
  return last!
}

const recorded = [
  'text',
  'tools',
  'thinking',
  'thinking-interleaved',
  'redacted-thinking',
  'citations',
  'server-tool',
  'pings',
  'refusal',
]

it.each(recorded)('%s is the same message', async (recording) => {
  const { upstream, gateway } = await startScene('anthropic', anthropic.answers(recording))
  const page = openPage(gateway.url, { body: { model: MODEL } })
  await page.sendMessage({ text: 'Hi!' })
  expect(page.error).toBeUndefined()
  expect(saidBy(page.lastMessage!)).toEqual(saidBy(await throughRoute(upstream.url)))
})

it.each(recorded)('%s goes back to Claude as it came', async (recording) => {
  const { upstream, gateway } = await startScene('anthropic', anthropic.answers(recording))
  const page = openPage(gateway.url, { body: { model: MODEL } })
  await page.sendMessage({ text: 'Hi!' })
  for (const part of page.lastMessage!.parts)
    if ('toolCallId' in part && part.state === 'input-available')
      await page.addToolOutput({ tool: 'any', toolCallId: part.toolCallId, output: 'done' })
  await page.sendMessage({ text: 'And?' })
  const { content } = (await sdkMessage(recordings[recording]!)) as { content: Record<string, unknown>[] }
  const { messages } = upstream.requests[1]!.body as { messages: { role: string; content: unknown }[] }
  // A UI message has no place for who called a tool, and for which words a citation is. Claude refuses empty texts.
  const sent = content
    .filter(({ text }) => text !== '')
    .map(({ caller: _caller, citations: _citations, ...block }) => block)
  expect(messages.find(({ role }) => role === 'assistant')?.content).toEqual(sent)
})

/** Answers with these blocks. */
function answersWith(blocks: readonly object[]): Answer {
  const usage = { input_tokens: 1, output_tokens: 1 }
  const message = { id: 'msg_1', type: 'message', role: 'assistant', model: MODEL, content: [], usage }
  const events = [
    { type: 'message_start', message },
    ...blocks.flatMap((content_block, index) => [
      { type: 'content_block_start', index, content_block },
      { type: 'content_block_stop', index },
    ]),
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage },
    { type: 'message_stop' },
  ]
  const frames = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  return (response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(frames.join(''))
}

it.each([
  ['a result', false, [{ type: 'text', text: 'y' }]],
  ['a failure', true, [{ type: 'text', text: 'y' }]],
  ['a failure without words', true, []],
])('a call of an MCP tool with %s goes back to Claude as it came', async (_, is_error, words) => {
  const content = [
    { type: 'mcp_tool_use', id: 'mcptoolu_1', name: 'ask', server_name: 'wiki', input: { q: 'x' } },
    { type: 'mcp_tool_result', tool_use_id: 'mcptoolu_1', is_error, content: words },
    { type: 'text', text: 'So.' },
  ]
  const { upstream, gateway } = await startScene('anthropic', answersWith(content))
  const page = openPage(gateway.url, { body: { model: MODEL } })
  await page.sendMessage({ text: 'Hi!' })
  await page.sendMessage({ text: 'And?' })
  const whole = await fetch(`${gateway.url}/v1/ui/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ model: MODEL, messages: page.messages.slice(0, 1) }),
  })
  await fetch(`${gateway.url}/v1/ui/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ model: MODEL, messages: [page.messages[0], await whole.json(), page.messages[2]] }),
  })
  expect(page.error).toBeUndefined()
  for (const request of [1, 3]) {
    const { messages } = upstream.requests[request]!.body as { messages: { content: unknown }[] }
    expect(messages[1]?.content).toEqual(content)
  }
})
