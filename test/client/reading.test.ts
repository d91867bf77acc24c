import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { readEvent } from '../../src/client/chat-event.ts'
import { createClient, SluiceClientError } from '../../src/client/index.ts'
import { collectMessage } from '../../src/client/message.ts'
import type { Snapshot } from '../../src/protocols/native/native.ts'
import { FINISH_REASONS } from '../../src/stream/events.ts'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { clientOf, collect, forbidUnhandledRejections, HI, telling, Wire, words } from './harness.ts'

forbidUnhandledRejections()

const SCRIPTED = { ...HI, model: 'scripted' }

async function startScripted(settings: Parameters<typeof startGateway>[0] = {}) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway(settings, { providers: [provider] })
  const network = await FaultyNetwork.start(gateway.url)
  return { provider, gateway, network }
}

async function readAll(stream: ReadableStream<string>): Promise<string[]> {
  const chunks: string[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

describe('a stream', () => {
  it('is read by any number of consumers, early and late, over one connection', async () => {
    const { provider, network } = await startScripted()
    const wire = new Wire()
    const stream = clientOf(network).chat(SCRIPTED, wire)
    const early = [collect(stream), stream.text(), stream.final(), readAll(stream.textStream)] as const
    const run = await provider.nextRun()
    run.text('one ')
    await wire.untilCount('frame', 1)
    const middle = collect(stream)
    run.text('two')
    run.done()
    const [events, text, final, chunks] = await Promise.all(early)
    expect(events).toMatchObject([
      { type: 'delta', seq: 1, content: 'one ' },
      { type: 'delta', seq: 2, content: 'two' },
      { type: 'done', seq: 3, finish_reason: 'stop' },
    ])
    expect(text).toBe('one two')
    expect(final.message.content).toBe('one two')
    expect(chunks).toEqual(['one ', 'two'])
    expect(await middle).toEqual(events)
    expect(await collect(stream)).toEqual(events)
    expect(await readAll(stream.textStream)).toEqual(chunks)
    expect(network.requests.entries).toHaveLength(1)
  })

  it('goes on for the others when one of them stops', async () => {
    const { provider, gateway } = await startScripted()
    const stream = clientOf(gateway).chat(SCRIPTED)
    const text = stream.text()
    const reader = stream.textStream.getReader()
    const run = await provider.nextRun()
    run.text('one ')
    for await (const event of stream) {
      expect(event).toMatchObject({ content: 'one ' })
      break
    }
    expect((await reader.read()).value).toBe('one ')
    await reader.cancel()
    run.text('two')
    run.done()
    expect(await text).toBe('one two')
  })

  it('finds a gateway whose address ends in a slash', async () => {
    const { network } = await startScripted()
    await clientOf({ url: `${network.url}/` })
      .chat({ ...HI, mock: { text: 'x', interval_ms: 0 } })
      .text()
    expect(network.requests.entries.map(({ path }) => path)).toEqual(['/v1/chat'])
  })

  it('has its id as soon as it is named, the one that the gateway knows it by', async () => {
    const { provider, gateway } = await startScripted()
    const client = clientOf(gateway)
    const stream = client.chat(SCRIPTED)
    const id = await stream.id
    const other = client.attach(id)
    expect(await other.id).toBe(id)
    const run = await provider.nextRun()
    run.text('shared')
    run.done()
    expect(await Promise.all([stream.text(), other.text()])).toEqual(['shared', 'shared'])
    expect(provider.runs).toHaveLength(1)
  })

  it('that nobody consumes harms nobody when it fails', async () => {
    const { gateway } = await startScripted()
    const wire = new Wire()
    clientOf(gateway).chat({ ...HI, mock: { fail_at: 3, interval_ms: 0 } }, wire)
    await wire.untilCount('end', 1)
    const failing = clientOf(gateway).chat({ ...HI, model: 'no-such-model' })
    void failing.text()
    void failing.final()
    void failing.id
    void failing.cancel()
    await expect(failing.text()).rejects.toMatchObject({ code: 'unknown_model' })
  })

  it('takes each event once, whatever comes twice, and passes over what it does not know', async () => {
    const { network } = await startScripted()
    const frame = (id: number, content: string) => `id: ${id}\nevent: delta\ndata: {"content":"${content}"}\n\n`
    const body = [
      frame(1, 'a'),
      frame(1, 'a'),
      frame(3, 'bc'),
      frame(2, 'b'),
      'id: 4\nevent: novelty\ndata: what?\n\n',
      'id: 5\nevent: done\ndata: {"finish_reason":"stop"}\n\n',
      frame(6, 'after the end'),
    ]
    const headers = { 'content-type': 'text/event-stream', 'sluice-stream-id': 'x' }
    network.plan({ answer: { status: 200, headers, body: body.join('') } })
    const wire = new Wire()
    expect(await clientOf(network).chat(HI, wire).text()).toBe('abc')
    expect(wire.of('frame').map(({ covers }) => covers)).toEqual([1, 0, 2, 0, 2])
  })

  it('leaves its connection to the next one', async () => {
    const { network } = await startScripted()
    const client = clientOf(network)
    const body = { ...HI, mock: { text: 'short', interval_ms: 0 } }
    for (let round = 0; round < 5; round += 1) expect(await client.chat(body).text()).toBe('short')
    // The next chat begins with the last event, which may be a moment before the end of the response.
    expect(network.accepted).toBeLessThanOrEqual(2)
  })

  it('sends its headers with every request, asked for anew if they are a function', async () => {
    const { provider, network } = await startScripted()
    let token = 0
    const headers = async () => ({ authorization: `Bearer ${(token += 1)}` })
    network.plan({ cut: { bytes: 0 } }, { cut: { frames: 1 } })
    const wire = new Wire()
    const stream = clientOf(network, { headers }).chat(SCRIPTED, wire)
    const run = await provider.nextRun()
    run.text('one')
    await wire.untilCount('frame', 1)
    run.done()
    await stream.text()
    expect(network.requests.entries.map(({ method, headers: sent }) => [method, sent.authorization])).toEqual([
      ['POST', 'Bearer 1'],
      ['POST', 'Bearer 2'],
      ['GET', 'Bearer 3'],
    ])
  })
})

describe('final', () => {
  it('is the same as what the gateway knows: text, reasoning, tool calls, usage', async () => {
    const { gateway } = await startScripted()
    const mock = {
      tokens: 5,
      interval_ms: 0,
      reasoning_tokens: 3,
      tool_call: { name: 'weather', arguments: { city: 'Zürich', days: 3 } },
    }
    const stream = clientOf(gateway).chat({ ...HI, mock })
    const final = await stream.final()
    const response = await fetch(`${gateway.url}/v1/streams/${await stream.id}`, {
      headers: { accept: 'application/json' },
    })
    const { message, finish_reason, usage, model, provider } = (await response.json()) as Snapshot
    expect(final).toEqual({ message, finish_reason, usage, model, provider })
    expect(final.finish_reason).toBe('tool_calls')
    expect(final.usage?.completion_tokens).toBeGreaterThan(8)
    expect(final.message.tool_calls).toMatchObject([{ id: 'call_mock_1', function: { name: 'weather' } }])
    const call = final.message.tool_calls?.[0]
    expect(JSON.parse(call?.type === 'function' ? call.function.arguments : '')).toEqual({ city: 'Zürich', days: 3 })
    expect(final.message.reasoning).not.toBe('')
    expect(await stream.text()).toBe(final.message.content)
  })

  it('keeps calls of custom tools and what calls carry, in its events and in the message', async () => {
    const provider = telling([
      {
        type: 'delta',
        tool_calls: [
          {
            index: 0,
            id: 'a',
            type: 'function',
            function: { name: 'find', arguments: '{}' },
            carried: { openai: { call: { extra_content: { google: { thought_signature: 'sig' } } } } },
          },
        ],
      },
      { type: 'delta', tool_calls: [{ index: 1, id: 'b', type: 'custom', custom: { name: 'run_sql', input: '' } }] },
      { type: 'delta', tool_calls: [{ index: 1, custom: { input: 'SELECT ' } }] },
      { type: 'delta', tool_calls: [{ index: 1, custom: { input: '1' } }] },
      { type: 'done', finish_reason: 'tool_calls' },
    ])
    const gateway = await startGateway({}, { providers: [provider] })
    const stream = clientOf(gateway).chat({ ...HI, model: 'telling' })
    const events = await collect(stream)
    const calls = events.flatMap((event) => (event.type === 'delta' ? (event.tool_calls ?? []) : []))
    const carried = { openai: { call: { extra_content: { google: { thought_signature: 'sig' } } } } }
    expect(calls[0]).toMatchObject({ id: 'a', carried })
    expect(calls.map(({ custom }) => custom?.input ?? '').join('')).toBe('SELECT 1')
    const { message } = await stream.final()
    expect(message.tool_calls).toEqual([
      { id: 'a', type: 'function', function: { name: 'find', arguments: '{}' }, carried },
      { id: 'b', type: 'custom', custom: { name: 'run_sql', input: 'SELECT 1' } },
    ])
    expect(collectMessage(events)).toEqual(message)
  })

  it('adds up parallel tool calls, refusals and fields that are not modelled, of the first choice only', async () => {
    const provider = telling([
      { type: 'delta', role: 'assistant' },
      { type: 'delta', refusal: 'I ' },
      { type: 'delta', refusal: 'will not' },
      { type: 'delta', index: 1, content: 'I will' },
      { type: 'delta', carried: { openai: { chunk: { service_tier: 'flex' } } } },
      {
        type: 'delta',
        tool_calls: [
          { index: 0, id: 'a', type: 'function', function: { name: 'first', arguments: '{' } },
          { index: 1, id: 'b', type: 'function', function: { name: 'second', arguments: '' } },
        ],
      },
      { type: 'delta', tool_calls: [{ index: 1, function: { arguments: '[]' } }] },
      { type: 'delta', tool_calls: [{ index: 0, function: { arguments: '}' } }] },
      { type: 'done', finish_reason: 'tool_calls', model: 'big' },
    ])
    const gateway = await startGateway({}, { providers: [provider] })
    const stream = clientOf(gateway).chat({ ...HI, model: 'telling' })
    expect(await stream.final()).toEqual({
      message: {
        role: 'assistant',
        content: null,
        refusal: 'I will not',
        carried: { openai: { chunk: { service_tier: 'flex' } } },
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'first', arguments: '{}' } },
          { id: 'b', type: 'function', function: { name: 'second', arguments: '[]' } },
        ],
      },
      finish_reason: 'tool_calls',
      usage: expect.objectContaining({ estimated: true }),
      model: 'big',
      provider: 'telling',
    })
    expect(await stream.text()).toBe('')
  })
})

describe('the indexes of tool calls', () => {
  it('order them, and do not set the length of the list', async () => {
    const provider = telling([
      { type: 'delta', tool_calls: [{ index: 1_000_000_000, id: 'b', function: { name: 'second', arguments: '' } }] },
      { type: 'delta', tool_calls: [{ index: 2, id: 'a', function: { name: 'first', arguments: '' } }] },
      { type: 'done', finish_reason: 'tool_calls' },
    ])
    const gateway = await startGateway({}, { providers: [provider] })
    const { message } = await clientOf(gateway)
      .chat({ ...HI, model: 'telling' })
      .final()
    expect(message.tool_calls?.length).toBe(2)
    expect(message.tool_calls?.map(({ id }) => id)).toEqual(['a', 'b'])
  })
})

describe('a failure', () => {
  it('of the provider is thrown after all that came before it', async () => {
    const { gateway } = await startScripted()
    const wire = new Wire()
    const mock = { text: 'one two three', interval_ms: 0, fail_at: 2, fail_code: 'upstream_rate_limited' }
    const stream = clientOf(gateway).chat({ ...HI, mock }, wire)
    const seen: string[] = []
    const loop = (async () => {
      for await (const event of stream) seen.push(event.type === 'delta' ? (event.content ?? '') : event.finish_reason)
    })()
    const expected = { code: 'upstream_rate_limited', retryable: true, message: 'The mock was told to fail.' }
    await expect(loop).rejects.toBeInstanceOf(SluiceClientError)
    await expect(loop).rejects.toMatchObject(expected)
    expect(seen.join('|')).toBe('one two|error')
    await expect(stream.text()).rejects.toMatchObject(expected)
    await expect(stream.final()).rejects.toMatchObject(expected)
    await expect(readAll(stream.textStream)).rejects.toMatchObject(expected)
    expect(wire.of('end')).toMatchObject([{ as: 'failed' }])
    expect(wire.of('request')).toHaveLength(1)
  })

  it('of the request names every fault', async () => {
    const { gateway } = await startScripted()
    const stream = clientOf(gateway).chat({ messages: [{ role: 'user' }], model: '' })
    await expect(stream.id).rejects.toMatchObject({
      code: 'invalid_request',
      status: 400,
      retryable: false,
      faults: [{ path: 'messages[0].content' }, { path: 'model' }],
    })
  })

  it('of what answers instead of a gateway is told at once', async () => {
    const { network } = await startScripted()
    const page = { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Welcome</h1>' }
    network.plan({ answer: page })
    await expect(clientOf(network).chat(HI).text()).rejects.toMatchObject({ code: 'invalid_response' })
    network.plan({ answer: { status: 200, headers: { 'content-type': 'text/event-stream' }, body: ': hello\n' } })
    await expect(clientOf(network).chat(HI).text()).rejects.toThrow('Access-Control-Expose-Headers')
    const headers = { 'content-type': 'text/event-stream', 'sluice-stream-id': 'x' }
    network.plan({ answer: { status: 200, headers, body: 'id: 1\nevent: delta\ndata: {"content":1}\n\n' } })
    await expect(clientOf(network).chat(HI).text()).rejects.toMatchObject({ code: 'invalid_response' })
    expect(network.requests.entries).toHaveLength(3)
  })

  it('rejects an invalid index as invalid_response', async () => {
    const { network } = await startScripted()
    onTestFinished(() => {
      Reflect.deleteProperty(Array.prototype, 'id')
      Reflect.deleteProperty(Array, 'id')
    })
    const headers = { 'content-type': 'text/event-stream', 'sluice-stream-id': 'x' }
    for (const index of ['"__proto__"', '"constructor"', '"0"', '-1', '1.5', '1e300', 'null'])
      for (const data of [`{"tool_calls":[{"index":${index},"id":"evil"}]}`, `{"index":${index},"content":"a"}`]) {
        const body = `id: 1\nevent: delta\ndata: ${data}\n\nid: 2\nevent: done\ndata: {"finish_reason":"stop"}\n\n`
        network.plan({ answer: { status: 200, headers, body } })
        await expect(clientOf(network).chat(HI).final()).rejects.toMatchObject({ code: 'invalid_response' })
      }
    expect('id' in Array.prototype || 'id' in Array).toBe(false)
  })

  it.each(FINISH_REASONS)('knows every finish reason of the gateway: %s', (finish_reason) => {
    const frame = { name: 'done', id: '1', data: JSON.stringify({ finish_reason }) }
    expect(readEvent(frame)).toEqual({ type: 'done', seq: 1, finish_reason })
  })

  it.each(['"finished"', '"toString"', '1', 'null', '["stop"]'])(
    'rejects a finish reason that it does not know as invalid_response: %s',
    async (reason) => {
      const { network } = await startScripted()
      const headers = { 'content-type': 'text/event-stream', 'sluice-stream-id': 'x' }
      const body = `id: 1\nevent: done\ndata: {"finish_reason":${reason}}\n\n`
      network.plan({ answer: { status: 200, headers, body } })
      await expect(clientOf(network).chat(HI).final()).rejects.toMatchObject({ code: 'invalid_response' })
    },
  )

  it('of what answers is no reason to go on listening to it', async () => {
    const server = createServer((request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).write('<h1>')
      request.on('close', () => server.close())
    })
    onTestFinished(() => server.closeAllConnections())
    const over = once(server, 'close')
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    await expect(clientOf({ url }).chat(HI).text()).rejects.toMatchObject({ code: 'invalid_response' })
    await over
  })

  it('of the configuration is thrown where it was made', () => {
    expect(() => createClient({ baseUrl: 'not a url' })).toThrow(TypeError)
    expect(() => createClient({ baseUrl: 'http://localhost', headers: { authorization: 'line\nbreak' } })).toThrow(
      TypeError,
    )
  })

  it('of the one who looks on breaks nothing', async () => {
    const { gateway } = await startScripted()
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => log.mockRestore())
    const onActivity = () => {
      throw new Error('a bug in a chart')
    }
    const text = await clientOf(gateway)
      .chat({ ...HI, mock: { text: 'fine', interval_ms: 0 } }, { onActivity })
      .text()
    expect(text).toBe('fine')
    expect(log).toHaveBeenCalled()
  })
})

describe('what happens on the wire', () => {
  it('is told as it happens: requests, bytes, frames and what they cover, the first token, the end', async () => {
    const { provider, network } = await startScripted({ heartbeatMs: 20 })
    network.plan({ cut: { frames: 1 } })
    const wire = new Wire()
    const stream = clientOf(network, { backoff: () => 7 }).chat(SCRIPTED, wire)
    const run = await provider.nextRun()
    await wire.untilCount('heartbeat', 1)
    run.text('a', 'b', 'c')
    await wire.untilCount('reconnect', 1)
    run.text('d')
    run.done()
    await stream.text()
    const told = wire.entries.filter(({ type }) => type !== 'heartbeat' && type !== 'bytes')
    expect(told).toMatchObject([
      { type: 'request', method: 'POST', after: 0 },
      { type: 'response', status: 200 },
      { type: 'frame', event: { type: 'delta', seq: 3, content: 'abc' }, covers: 3 },
      { type: 'first-token', afterMs: expect.any(Number) },
      { type: 'disconnect', reason: 'lost' },
      { type: 'reconnect', attempt: 1, delayMs: 7 },
      { type: 'request', method: 'GET', after: 3 },
      { type: 'response', status: 200 },
      { type: 'frame', event: { type: 'delta', seq: 4 }, covers: 1 },
      { type: 'frame', event: { type: 'done', seq: 5 }, covers: 1 },
      { type: 'end', as: 'finished' },
    ])
    expect(wire.of('bytes').every(({ bytes }) => bytes > 0)).toBe(true)
    const times = wire.entries.map(({ at }) => at)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  })

  it('ends with the end: nothing is asked for after it', async () => {
    const provider = telling(words('all'))
    const network = await FaultyNetwork.start((await startGateway({}, { providers: [provider] })).url)
    const wire = new Wire()
    await clientOf(network)
      .chat({ ...HI, model: 'telling' }, wire)
      .text()
    network.cut()
    await network.closed()
    // Another whole exchange: whatever the first one had in mind would have come by now.
    await clientOf(network)
      .chat({ ...HI, model: 'telling' })
      .text()
    expect(network.requests.entries).toHaveLength(2)
    expect(wire.entries.at(-1)).toMatchObject({ type: 'end' })
  })
})
