import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MessageReader } from '../../providers/anthropic/events.ts'
import { ChunkReader } from '../../providers/openai/chunks.ts'
import type { StreamEvent } from '../../providers/provider.ts'
import type { MessageParser } from '../../providers/stream-format.ts'
import type { ExchangeHandler } from '../../providers/transport/transport.ts'
import { UpstreamStream } from '../../providers/upstream.ts'
import { chatChunks, chunk } from '../support/upstream.ts'

interface Response {
  type?: string | undefined
  coding?: string
  status?: number
  body: string
  cuts?: readonly number[]
  /** The connection breaks at the end. */
  broken?: boolean
}

/** What a provider yields for this response: its events and its failure. */
async function read(
  { type, coding, status = 200, body, cuts = [], broken }: Response,
  reader: MessageParser = new ChunkReader(),
) {
  const handlers: ExchangeHandler[] = []
  const control = { abort: () => {}, pause: () => {}, resume: () => {} }
  const transport = { request: (_: unknown, handler: ExchangeHandler) => (handlers.push(handler), control) }
  const { signal } = new AbortController()
  const stream = new UpstreamStream(
    { transport, path: '/', headers: {}, body: {}, signal, connectTimeoutMs: 10_000 },
    reader,
  )
  const events: StreamEvent[] = []
  const ended = new Promise<unknown>((resolve) =>
    stream.pushTo({ push: (some) => void events.push(...some), end: (failure) => resolve(failure?.error) }),
  )
  const [handler] = handlers as [ExchangeHandler]
  const headers = new Map<string, string>()
  if (type !== undefined) headers.set('content-type', type)
  if (coding !== undefined) headers.set('content-encoding', coding)
  handler.onHead({ status, headers })
  const bytes = Buffer.from(body)
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b)
  let start = 0
  for (const end of [...places, bytes.length]) {
    if (end > start) handler.onBody(bytes.subarray(start, end))
    start = end
  }
  if (broken) handler.onError(new Error('reset'))
  else handler.onEnd()
  return { events, failure: await ended }
}

const TYPES = [
  undefined,
  'text/event-stream',
  'text/plain; charset=utf-8',
  'application/json',
  'application/octet-stream',
]
const answer = chatChunks(
  chunk({ role: 'assistant', content: 'a' }),
  chunk({ content: 'é' }, { finish_reason: 'stop' }),
  '[DONE]',
)
const anyCuts = fc.array(fc.nat(), { maxLength: 5 })

function textOf(events: readonly StreamEvent[]): string {
  return events.map((event) => (event.type === 'delta' ? (event.content ?? '') : '')).join('')
}

describe('an event stream', () => {
  it.each(TYPES)('is read under any content type, wherever it is cut: %s', async (type) => {
    const starts = fc.constantFrom(
      '',
      '\uFEFF',
      '\n\n',
      '\r\n',
      '\uFEFF\r\n',
      ': hello\n\n',
      'retry: 1000\n',
      'event: message\n',
    )
    await fc.assert(
      fc.asyncProperty(starts, fc.boolean(), anyCuts, async (start, crlf, cuts) => {
        const body = crlf ? (start + answer).replace(/\r?\n/g, '\r\n') : start + answer
        const { events, failure } = await read({ type, body, cuts })
        expect(failure).toBeUndefined()
        expect(textOf(events)).toBe('aé')
        expect(events.at(-1)).toMatchObject({ type: 'done', finish_reason: 'stop' })
      }),
      { numRuns: 50 },
    )
  })

  it.each([
    ['on one line', '{"error":{"message":"too busy","code":503}}'],
    ['on several lines', JSON.stringify({ error: { message: 'too busy', code: 503 } }, null, 2)],
    ['in a list', '[{"error":{"message":"too busy","code":503}}]'],
  ])('that ends in a plain JSON error fails with that error: %s', async (_, error) => {
    for (const broken of [false, true]) {
      const { events, failure } = await read({
        type: 'text/event-stream',
        body: `${chatChunks(chunk({ content: 'a' }))}${error}\n`,
        broken,
      })
      expect(textOf(events)).toBe('a')
      expect(failure).toMatchObject({ code: 'upstream_unavailable', message: 'too busy' })
    }
  })

  it('with other lines than those of messages fails as truncated when it has no end', async () => {
    const { failure } = await read({
      type: 'text/event-stream',
      body: `${chatChunks(chunk({ content: 'a' }))}{"status":"ok"}\nnonsense\n`,
    })
    expect(failure).toMatchObject({ code: 'upstream_truncated' })
  })
})

const completion = {
  id: 'c1',
  object: 'chat.completion',
  created: 1,
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'whole' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 5, completion_tokens: 4, total_tokens: 9 },
}
const message = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [
    { type: 'thinking', thinking: 'hm', signature: 'sig' },
    { type: 'text', text: 'whole', citations: [{ type: 'char_location', cited_text: 'x' }] },
    { type: 'tool_use', id: 't1', name: 'f', input: { a: 1 } },
  ],
  stop_reason: 'tool_use',
  stop_sequence: null,
  usage: { input_tokens: 5, output_tokens: 4 },
}

describe('an answer in one piece', () => {
  it.each(TYPES)('is a whole completion, under any content type: %s', async (type) => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('', '\uFEFF', ' \n \n'), fc.boolean(), anyCuts, async (start, pretty, cuts) => {
        const body = start + JSON.stringify(completion, null, pretty ? 2 : 0)
        const { events, failure } = await read({ type, body, cuts })
        expect(failure).toBeUndefined()
        expect(textOf(events)).toBe('whole')
        expect(events.at(-1)).toMatchObject({ finish_reason: 'stop', usage: { total_tokens: 9 }, model: 'm' })
      }),
      { numRuns: 30 },
    )
  })

  it.each(TYPES)('is a whole Message, under any content type: %s', async (type) => {
    const { events, failure } = await read({ type, body: JSON.stringify(message) }, new MessageReader())
    expect(failure).toBeUndefined()
    expect(textOf(events)).toBe('whole')
    expect(events).toContainEqual(expect.objectContaining({ reasoning: 'hm' }))
    expect(JSON.stringify(events)).toContain('"signature":"sig"')
    expect(JSON.stringify(events)).toContain('"cited_text":"x"')
    expect(JSON.stringify(events)).toContain(JSON.stringify('{"a":1}'))
    expect(events.at(-1)).toMatchObject({ finish_reason: 'tool_calls', usage: { total_tokens: 9 }, model: 'claude' })
  })

  it('fails without a retry when it is broken, is another kind of answer, or is larger than 8 MiB', async () => {
    for (const body of ['{"choices":[', '{"object":"list","data":[]}', `{"choices":"${'x'.repeat(9 * 1024 * 1024)}`]) {
      const { failure } = await read({ type: 'application/json', body })
      expect(failure).toMatchObject({ code: 'upstream_invalid_response', retryable: false })
    }
  })

  it('is cut, not refused, when its connection breaks', async () => {
    const { failure } = await read({ type: 'application/json', body: '{"choices":[', broken: true })
    expect(failure).toMatchObject({ code: 'upstream_disconnected', retryable: true })
  })
})

describe('an error with the status 200', () => {
  it.each(TYPES)('has the code that it names, and no word about the key: %s', async (type) => {
    const body = JSON.stringify({ error: { message: 'User key sk-ab12 is not found', code: 401 } })
    const { failure } = await read({ type, body })
    expect(failure).toMatchObject({ code: 'upstream_auth', retryable: false, message: 'The upstream failed.' })
    expect(JSON.stringify(failure)).not.toContain('sk-ab12')
  })

  it('is an error of the Messages API', async () => {
    const body = JSON.stringify({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } })
    const { failure } = await read({ type: 'application/json', body }, new MessageReader())
    expect(failure).toMatchObject({ code: 'upstream_unavailable', message: 'Overloaded' })
  })
})

describe('an answer with a status that is not 200', () => {
  it.each([201, 203, 206])('is an answer, as to SDKs: %i', async (status) => {
    for (const body of [answer, JSON.stringify(completion)]) {
      const { events, failure } = await read({ status, type: 'text/event-stream', body })
      expect(failure).toBeUndefined()
      expect(events.at(-1)).toMatchObject({ type: 'done', finish_reason: 'stop' })
    }
  })

  it.each([204, 205])('is none when the status says that there is none: %i', async (status) => {
    const { failure } = await read({ status, body: '' })
    expect(failure).toMatchObject({ code: 'upstream_invalid_response' })
  })
})

describe('an answer with a content coding', () => {
  it.each(['none', 'utf-8', 'identity', 'UTF-8, none', 'binary', ''])(
    'that is no coding is read: %s',
    async (coding) => {
      const { events, failure } = await read({ coding, type: 'text/event-stream', body: answer })
      expect(failure).toBeUndefined()
      expect(textOf(events)).toBe('aé')
    },
  )

  it('that nobody here can undo is refused', async () => {
    const { failure } = await read({ coding: 'zstd', type: 'text/event-stream', body: answer })
    expect(failure).toMatchObject({ code: 'upstream_invalid_response' })
  })
})

describe('the body of an error', () => {
  const error = { message: 'too long', code: 'context_length_exceeded', param: 'messages' }
  const json = JSON.stringify({ error })

  it.each([
    ['JSON', json],
    ['JSON after a byte order mark', `\uFEFF${json}`],
    ['an event', `data: ${json}\n\n`],
    ['an unfinished event with a name and a comment', `event: error\n:HTTP_STATUS/400\ndata: ${json}`],
    ['lines of JSON', `${json}\n{"done":true}\n`],
    ['a field of an old llama.cpp', `error: ${json}\n\n`],
    ['JSON of more than 64 KiB', JSON.stringify({ error: { ...error, input: 'x'.repeat(200_000) } })],
  ])('may be %s', async (_, body) => {
    for (const type of [undefined, 'application/json', 'text/event-stream']) {
      const { failure } = await read({ status: 400, type, body, cuts: [1, 70_000] })
      expect(failure).toMatchObject({ code: 'upstream_rejected', message: 'too long', upstreamStatus: 400 })
      expect(failure).toMatchObject({ carried: { openai: { error } } })
    }
  })

  it.each([
    ['a plain text', 'text/plain; charset=utf-8', 'Model x not found\n'],
    ['a JSON text', 'application/json', '"Model x not found"'],
  ])('may be %s', async (_, type, body) => {
    const { failure } = await read({ status: 404, type, body })
    expect(failure).toMatchObject({ code: 'upstream_not_found', message: 'Model x not found' })
  })

  it.each([
    ['a page', 'text/html', '<html>Not found</html>'],
    ['a page under the type of a text', 'text/plain', '<html>Not found</html>'],
    ['a long text', 'text/plain', 'x'.repeat(2000)],
    ['what is no text', 'text/plain', '\u0000\u0001'],
    ['a text about the key', 'text/plain', 'Incorrect API key provided: sk-ab12'],
  ])('is not quoted when it is %s', async (_, type, body) => {
    const { failure } = await read({ status: 400, type, body })
    expect(failure).toMatchObject({ message: 'The upstream answered 400.' })
  })
})

describe('an error in a stream', () => {
  const llama = 'error: {"code":400,"message":"too long","type":"invalid_request_error"}\n\n'

  it.each([llama, `${llama}data: [DONE]\n\n`, `${chatChunks(chunk({ content: 'a' }))}${llama}`])(
    'as a field of an old llama.cpp is that error: %j',
    async (body) => {
      for (const type of ['text/event-stream', 'text/plain']) {
        const { failure } = await read({ type, body })
        expect(failure).toMatchObject({ code: 'upstream_rejected', message: 'too long', retryable: false })
      }
    },
  )

  it('in a list is that error', async () => {
    const { failure } = await read({ body: 'data: [{"error":{"message":"too long","code":400}}]\n\n' })
    expect(failure).toMatchObject({ code: 'upstream_rejected', message: 'too long' })
  })

  it('as a text is quoted, and tried once', async () => {
    const { failure } = await read({ body: 'data: "Model x not found"\n\n' })
    expect(failure).toMatchObject({
      code: 'upstream_invalid_response',
      message: 'The upstream sent a text in place of an object: Model x not found.',
      retryable: false,
    })
  })

  it("has the code that Alibaba's name says", async () => {
    const body = 'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"InvalidParameter","message":"bad temperature"}\n\n'
    const { failure } = await read({ type: 'text/event-stream', body })
    expect(failure).toMatchObject({ code: 'upstream_rejected', message: 'bad temperature', retryable: false })
  })
})

describe('one malformed item', () => {
  it.each([
    ['broken JSON', 'data: {"choices":[{\n\n'],
    ['no JSON object', 'data: [1]\n\n'],
    ['a choice that is no object', chatChunks({ choices: [1] })],
  ])('is not retried: %s', async (_, body) => {
    const { failure } = await read({ type: 'text/event-stream', body })
    expect(failure).toMatchObject({ code: 'upstream_invalid_response', retryable: false })
  })
})
