import { describe, expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { chatChunks, chunk, startUpstream } from '../support/upstream.ts'

/** An upstream that says one word and then nothing, for ever. */
async function startTalker() {
  return startUpstream((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(chatChunks(chunk({ role: 'assistant', content: 'wait' })))
  })
}

describe('leaving a stream', () => {
  it('closes the upstream connection once the resume window is over, and not while a reader is there', async () => {
    const upstream = await startTalker()
    const gateway = await startGateway({
      resumeWindowMs: 300,
      providers: { upstream: { type: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true } },
    })
    const first = await chat(gateway.url, { model: 'upstream/any' })
    await first.until(({ text }) => text === 'wait')
    first.cut()
    // Comes back within the window, so the upstream goes on.
    const second = await resume(gateway.url, first.id, 1)
    expect(gateway.services.generations.size).toBe(1)
    second.cut()
    const { closed } = await upstream.request(0)
    await closed
    const late = await (await resume(gateway.url, first.id, 1)).end()
    expect(late.dones).toMatchObject([{ finish_reason: 'cancelled' }])
  })

  it('aborts a stream that nobody ever came to read', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ resumeWindowMs: 50 }, { providers: [provider] })
    const created = await (
      await chat(gateway.url, { model: 'scripted' }, { headers: { prefer: 'respond-async' } })
    ).end()
    const run = await provider.nextRun()
    await run.aborted
    const read = await (await resume(gateway.url, created.id)).end()
    expect(read.dones).toMatchObject([{ finish_reason: 'cancelled' }])
  })

  it('counts a caller who waits for JSON as a reader, until it hangs up', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ resumeWindowMs: 50 }, { providers: [provider] })
    const waiting = chat(gateway.url, { model: 'scripted' }, { headers: { accept: 'application/json' } })
    const run = await provider.nextRun()
    run.text('kept')
    run.done()
    const answer = await (await waiting).end()
    expect(answer.json).toMatchObject({ status: 'finished', message: { content: 'kept' } })

    const aborted = new AbortController()
    const abandoned = fetch(`${gateway.url}/v1/chat`, {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'scripted', messages: [{ role: 'user', content: 'hi' }] }),
      signal: aborted.signal,
    }).catch(() => 'gone')
    const second = await provider.nextRun()
    aborted.abort()
    await second.aborted
    expect(await abandoned).toBe('gone')
  })
})

describe('DELETE', () => {
  it('closes the upstream at once and tells every reader', async () => {
    const upstream = await startTalker()
    const gateway = await startGateway({
      providers: { upstream: { type: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true } },
    })
    const first = await chat(gateway.url, { model: 'upstream/any' })
    await first.until(({ text }) => text === 'wait')
    const second = await resume(gateway.url, first.id)
    const { closed } = await upstream.request(0)
    const answer = await open(`${gateway.url}/v1/streams/${first.id}`, { method: 'DELETE' })
    expect(answer.status).toBe(204)
    await closed
    for (const reader of [first, second]) {
      await reader.end()
      expect(reader.dones).toMatchObject([{ finish_reason: 'cancelled' }])
      expect(reader.complete).toBe(true)
    }
    const again = await open(`${gateway.url}/v1/streams/${first.id}`, { method: 'DELETE' })
    expect(again.status).toBe(204)
  })
})
