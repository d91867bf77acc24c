import { lastAssistantMessageIsCompleteWithToolCalls, type UIMessage } from 'ai'
import { describe, expect, it } from 'vitest'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import { startGateway } from '../support/gateway.ts'
import { open } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { openPage, textOf, type PlainChat } from '../support/ui-chat.ts'

// The AI SDK's own chat and transport, as `useChat` has them, over real sockets.

async function start() {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({ defaultModel: provider.name }, { providers: [provider] })
  return { provider, gateway }
}

const getWeather = {
  get_weather: {
    description: 'The weather.',
    inputSchema: { type: 'object', properties: { city: { type: 'string' } } },
  },
}

describe('a chat page', () => {
  it('shows a text, token by token, and its usage', async () => {
    const { provider, gateway } = await start()
    const page = openPage(gateway.url)
    const sending = page.sendMessage({ text: 'Hi!' })
    const run = await provider.nextRun()
    expect(run.request).toMatchObject({ model: 'scripted', messages: [{ role: 'user', content: 'Hi!' }] })
    run.text('Grüße ')
    await page.untilText('Grüße ')
    expect(page.status).toBe('streaming')
    run.text('👋🏽')
    run.yield({
      type: 'done',
      finish_reason: 'stop',
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
    })
    await sending
    expect(page.status).toBe('ready')
    expect(page.lastMessage).toMatchObject({
      id: expect.stringMatching(/^msg_str_/),
      role: 'assistant',
      metadata: { usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 } },
      parts: [{ type: 'step-start' }, { type: 'text', text: 'Grüße 👋🏽', state: 'done' }],
    })
  })

  it('shows thoughts, and sends them back with their signature', async () => {
    const { provider, gateway } = await start()
    const page = openPage(gateway.url)
    const sending = page.sendMessage({ text: 'Hi!' })
    const run = await provider.nextRun()
    run.yield(
      { type: 'delta', carried: { anthropic: { message_start: {} } } },
      { type: 'delta', reasoning: 'Let me ' },
      { type: 'delta', reasoning: 'think.' },
      { type: 'delta', carried: { anthropic: { signature: 'sig-1' } } },
      { type: 'delta', carried: { anthropic: { redacted_thinking: 'hidden' } } },
      { type: 'delta', content: 'Hm.' },
    )
    run.done()
    await sending
    expect(page.lastMessage?.parts).toMatchObject([
      { type: 'step-start' },
      {
        type: 'reasoning',
        text: 'Let me think.',
        state: 'done',
        providerMetadata: { anthropic: { signature: 'sig-1' } },
      },
      { type: 'reasoning', text: '', providerMetadata: { anthropic: { redactedData: 'hidden' } } },
      { type: 'text', text: 'Hm.' },
    ])

    void page.sendMessage({ text: 'And?' })
    const next = await provider.nextRun()
    expect(next.request.messages).toEqual([
      { role: 'user', content: 'Hi!' },
      {
        role: 'assistant',
        content: 'Hm.',
        thinking_blocks: [
          { type: 'thinking', thinking: 'Let me think.', signature: 'sig-1' },
          { type: 'redacted_thinking', data: 'hidden' },
        ],
      },
      { role: 'user', content: 'And?' },
    ])
  })

  it('runs its tools, and sends their results for the next step of the same message', async () => {
    const { provider, gateway } = await start()
    const page: PlainChat = openPage(gateway.url, {
      body: { tools: getWeather },
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
      onToolCall: ({ toolCall }) =>
        void page.addToolOutput({ tool: toolCall.toolName, toolCallId: toolCall.toolCallId, output: { sky: 'clear' } }),
    })
    const sending = page.sendMessage({ text: 'Weather?' })
    const run = await provider.nextRun()
    expect(run.request.tools).toEqual([
      {
        type: 'function',
        function: {
          name: 'get_weather',
          description: 'The weather.',
          parameters: { type: 'object', properties: { city: { type: 'string' } } },
        },
      },
    ])
    run.text('Let me look.')
    run.yield(
      {
        type: 'delta',
        tool_calls: [{ index: 0, id: 'call_a', type: 'function', function: { name: 'get_weather', arguments: '' } }],
      },
      { type: 'delta', tool_calls: [{ index: 0, function: { arguments: '{"ci' } }] },
      { type: 'delta', tool_calls: [{ index: 0, function: { arguments: 'ty":"Köln"}' } }] },
      { type: 'done', finish_reason: 'tool_calls' },
    )
    const next = await provider.nextRun()
    expect(next.request.messages).toEqual([
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: 'Let me look.',
        tool_calls: [
          { id: 'call_a', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Köln"}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'call_a', content: '{"sky":"clear"}' },
    ])
    next.text('It is clear.')
    next.done()
    await sending
    expect(page.messages).toHaveLength(2)
    expect(page.lastMessage?.parts).toMatchObject([
      { type: 'step-start' },
      { type: 'text', text: 'Let me look.' },
      { type: 'tool-get_weather', state: 'output-available', input: { city: 'Köln' }, output: { sky: 'clear' } },
      { type: 'step-start' },
      { type: 'text', text: 'It is clear.' },
    ])
  })

  it('is told of a failure, before the first token and in the middle', async () => {
    const { provider, gateway } = await start()
    for (const text of ['', 'Half ']) {
      const page = openPage(gateway.url)
      const sending = page.sendMessage({ text: 'Hi!' })
      const run = await provider.nextRun()
      if (text) run.text(text)
      run.yield({
        type: 'done',
        finish_reason: 'error',
        error: { code: 'upstream_error', message: 'The model fell over.', retryable: false },
      })
      await sending
      expect(page.status).toBe('error')
      expect(page.error?.message).toBe('The model fell over.')
      expect(textOf(page.messages[1])).toBe(text)
    }
  })

  it('is told of a wrong request', async () => {
    const { gateway } = await start()
    const page = openPage(gateway.url, { body: { temperature: 'hot' } })
    await page.sendMessage({ text: 'Hi!' })
    expect(page.error?.message).toContain('"code":"invalid_request"')
    expect(page.error?.message).toContain('temperature')
  })
})

describe('a chat that goes on without its page', () => {
  it('is resumed in mid-answer by a page that is loaded again', async () => {
    const { provider, gateway } = await start()
    const first = openPage(gateway.url, { id: 'chat/1?' })
    void first.sendMessage({ text: 'Hi!' })
    const run = await provider.nextRun()
    run.text('One, ')
    await first.untilText('One, ')
    await first.stop()
    expect(first.status).toBe('ready')

    const again = openPage(gateway.url, { id: 'chat/1?', messages: first.messages.slice(0, 1) })
    const resuming = again.resumeStream()
    await again.untilText('One, ')
    run.text('two.')
    run.done()
    await resuming
    expect(again.messages).toHaveLength(2)
    expect(textOf(again.lastMessage)).toBe('One, two.')
    expect(again.lastMessage?.id).toBe(first.lastMessage?.id)
  })

  it('replaces the half answer that the page had kept', async () => {
    const { provider, gateway } = await start()
    const page = openPage(gateway.url)
    void page.sendMessage({ text: 'Hi!' })
    const run = await provider.nextRun()
    run.text('One, ')
    await page.untilText('One, ')
    await page.stop()
    run.text('two.')
    const resuming = page.resumeStream()
    await page.untilText('One, two.')
    run.done()
    await resuming
    expect(page.messages).toHaveLength(2)
  })

  it('has nothing to resume before its first message and after its answer, except with startIndex', async () => {
    const { provider, gateway } = await start()
    const page = openPage(gateway.url, { id: 'chat-1' })
    await page.resumeStream()
    expect([page.status, page.messages]).toEqual(['ready', []])
    const sending = page.sendMessage({ text: 'Hi!' })
    const run = await provider.nextRun()
    run.text('Done.')
    run.done()
    await sending
    const before = structuredClone(page.messages)
    await page.resumeStream()
    expect(page.messages).toEqual(before)
    const all = await (await open(`${gateway.url}/v1/ui/chat/chat-1/stream?startIndex=0`)).end()
    expect(all.body).toContain('"delta":"Done."')
    expect(all.body).toMatch(/data: \[DONE\]\n\n$/)
  })

  it('is read by two tabs at once', async () => {
    const { provider, gateway } = await start()
    const tabs = [openPage(gateway.url, { id: 'c' }), openPage(gateway.url, { id: 'c' })] as const
    const sending = tabs[0].sendMessage({ text: 'Hi!' })
    const run = await provider.nextRun()
    run.text('One, ')
    await tabs[0].untilText('One, ')
    const resuming = tabs[1].resumeStream()
    await tabs[1].untilText('One, ')
    run.text('two.')
    run.done()
    await Promise.all([sending, resuming])
    expect(tabs.map(({ lastMessage }) => lastMessage)).toEqual([tabs[0].lastMessage, tabs[0].lastMessage])
    expect(textOf(tabs[1].lastMessage)).toBe('One, two.')
  })

  it('is stopped for everybody', async () => {
    const { provider, gateway } = await start()
    const page = openPage(gateway.url, { id: 'c' })
    const sending = page.sendMessage({ text: 'Hi!' })
    const run = await provider.nextRun()
    run.text('One, ')
    await page.untilText('One, ')
    const stop = () => open(`${gateway.url}/v1/ui/chat/c/stop`, { method: 'POST' })
    expect((await stop()).status).toBe(204)
    await run.aborted
    await sending
    expect(page.status).toBe('ready')
    expect(page.lastMessage?.parts).toMatchObject([
      { type: 'step-start' },
      { type: 'text', text: 'One, ', state: 'done' },
    ])
    expect((await stop()).status).toBe(204)
    expect((await open(`${gateway.url}/v1/ui/chat/unknown/stop`, { method: 'POST' })).status).toBe(204)
  })

  it('follows its newest message', async () => {
    const { provider, gateway } = await start()
    const messages = [{ id: '1', role: 'user', parts: [{ type: 'text', text: 'Hi!' }] }] satisfies UIMessage[]
    const pages = [openPage(gateway.url, { id: 'c', messages }), openPage(gateway.url, { id: 'c', messages })] as const
    for (const [i, page] of pages.entries()) {
      void page.regenerate()
      const run = await provider.nextRun()
      run.text(`Answer ${i}`)
      await page.untilText(`Answer ${i}`)
    }
    const late = openPage(gateway.url, { id: 'c', messages })
    void late.resumeStream()
    await late.untilText('Answer 1')
  })
})

/** What `WorkflowChatTransport` of `@ai-sdk/workflow` does: it counts its chunks, and asks for the others. */
async function readLikeWorkflow(url: string, beforeAsking: () => void): Promise<string[]> {
  const chunks: string[] = []
  const read = async (response: Response) => {
    let text = ''
    let taken = 0
    try {
      for await (const bytes of response.body!.pipeThrough(new TextDecoderStream())) {
        text += bytes
        const whole = text.slice(0, text.lastIndexOf('\n\n') + 1)
        const found = [...whole.matchAll(/^data: (\{.*)$/gm)].map(([, data]) => data!)
        chunks.push(...found.slice(taken))
        taken = found.length
      }
    } catch {
      // Cut off.
    }
  }
  beforeAsking()
  const post = await fetch(`${url}/v1/ui/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      messages: [{ role: 'user', parts: [{ type: 'text', text: 'Hi!' }] }],
      mock: { tokens: 300, interval_ms: 1 },
    }),
  })
  const id = post.headers.get('x-workflow-run-id')
  await read(post)
  while (!chunks.at(-1)?.includes('"type":"finish"')) {
    beforeAsking()
    await read(await fetch(`${url}/v1/ui/chat/${id}/stream?startIndex=${chunks.length}`))
  }
  return chunks
}

describe('a client that counts its chunks', () => {
  it('gets each chunk once, over however many connections', async () => {
    const gateway = await startGateway()
    const proxy = await startCuttingProxy(gateway.url)
    const chunks = await readLikeWorkflow(proxy.url, () => proxy.cutAfter(2000))
    expect(proxy.requests.entries.length).toBeGreaterThan(3)
    const [, , { path }] = proxy.requests.entries as [unknown, unknown, { path: string }]
    const whole = await (await open(`${gateway.url}${path.replace(/startIndex=\d+/, 'startIndex=0')}`)).end()
    expect(chunks).toEqual(whole.messages.map(({ data }) => data).filter((data) => data !== '[DONE]'))
  })

  it('may count from the end, and is told where that is', async () => {
    const { provider, gateway } = await start()
    void openPage(gateway.url, { id: 'c' }).sendMessage({ text: 'Hi!' })
    const run = await provider.nextRun()
    run.text('a', 'b', 'c')
    const reader = await open(`${gateway.url}/v1/ui/chat/c/stream?startIndex=-2`)
    await reader.until(({ messages }) => messages.length === 2)
    run.done()
    await reader.end()
    // start, start-step, text-start and three deltas
    expect(reader.headers['x-workflow-stream-tail-index']).toBe('5')
    const types = reader.messages.map(({ data }) =>
      data === '[DONE]' ? data : (JSON.parse(data) as { type: string }).type,
    )
    expect(types).toEqual(['text-delta', 'text-delta', 'text-end', 'finish-step', 'finish', '[DONE]'])
  })

  it.each(['x', '1.5', '', '1&startIndex=2'])('is told of a wrong index: %j', async (index) => {
    const { provider, gateway } = await start()
    void openPage(gateway.url, { id: 'c' }).sendMessage({ text: 'Hi!' })
    await provider.nextRun()
    const reader = await open(`${gateway.url}/v1/ui/chat/c/stream?startIndex=${index}`)
    expect(reader.status).toBe(400)
  })
})
