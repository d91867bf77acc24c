import { createHash, randomBytes } from 'node:crypto'
import OpenAI, { toFile } from 'openai'
import { describe, expect, it } from 'vitest'
import { bothWays, MODEL } from '../support/both-ways.ts'
import { startGateway } from '../support/gateway.ts'
import type { Answer, UpstreamRequest } from '../support/upstream.ts'

// The official package and what it offers beside chats, with a server behind the gateway and without one.

const client = (origin: string) => new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'key', maxRetries: 0 })

const HEADERS = {
  'content-type': 'application/json',
  'x-ratelimit-remaining-requests': '7',
  'set-cookie': 'a=b',
  'openai-organization': 'org-secret',
}
const answers =
  (body: unknown, headers: Record<string, string> = {}): Answer =>
  (response) =>
    void response.writeHead(200, { ...HEADERS, ...headers }).end(Buffer.isBuffer(body) ? body : JSON.stringify(body))

const audio = randomBytes(700_000)
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const vector = Buffer.from(new Float32Array([0.25, -0.5]).buffer).toString('base64')
const embeddings = {
  object: 'list',
  data: [{ object: 'embedding', index: 0, embedding: vector }],
  model: MODEL,
  usage: { prompt_tokens: 2, total_tokens: 2 },
}
const chunk = (text: string, finish_reason: string | null = null) =>
  `data: ${JSON.stringify({ id: 'c', object: 'text_completion', created: 1, model: MODEL, choices: [{ text, index: 0, logprobs: null, finish_reason }] })}\n\n`
const streamed: Answer = (response) =>
  void response
    .writeHead(200, { 'content-type': 'text/event-stream' })
    .end(`${chunk('One ')}${chunk('two', 'stop')}data: [DONE]\n\n`)

type Call = (openai: OpenAI) => Promise<unknown>

const calls: [what: string, answer: Answer, call: Call][] = [
  ['embeddings', answers(embeddings), (openai) => openai.embeddings.create({ model: MODEL, input: [[1, 2], [3]] })],
  [
    'moderations',
    answers({ id: 'm', model: MODEL, results: [{ flagged: true }] }),
    (openai) => openai.moderations.create({ model: MODEL, input: 'hm' }),
  ],
  [
    'images',
    answers({ created: 1, data: [{ b64_json: 'AAAA' }] }),
    (openai) => openai.images.generate({ model: MODEL, prompt: 'a cat' }),
  ],
  [
    'speech',
    answers(audio, { 'content-type': 'audio/mpeg', 'content-length': String(audio.length) }),
    async (openai) => {
      const response = await openai.audio.speech.create({ model: MODEL, input: 'hi', voice: 'alloy' })
      return [response.headers.get('content-type'), digest(new Uint8Array(await response.arrayBuffer()))]
    },
  ],
  [
    'transcriptions',
    answers({ text: 'Hello.' }),
    async (openai) =>
      openai.audio.transcriptions.create({ file: await toFile(audio, 'a.mp3'), model: MODEL, language: 'en' }),
  ],
  [
    'translations',
    answers({ text: 'Hello.' }),
    async (openai) => openai.audio.translations.create({ model: MODEL, file: await toFile(audio, 'ä "1".mp3') }),
  ],
  [
    'completions',
    answers({ id: 'c', object: 'text_completion', choices: [{ text: 'One two', index: 0, finish_reason: 'stop' }] }),
    (openai) => openai.completions.create({ model: MODEL, prompt: 'Count.' }),
  ],
  [
    'streamed completions',
    streamed,
    async (openai) => {
      const chunks = []
      for await (const each of await openai.completions.create({ model: MODEL, prompt: 'Count.', stream: true }))
        chunks.push(each)
      return chunks
    },
  ],
]

/** A form without its boundary, which is random. */
function sent({ path, body, bytes, headers }: UpstreamRequest) {
  const boundary = /boundary=(.*)$/.exec(headers['content-type'] ?? '')?.[1]
  const form =
    boundary === undefined ? undefined : digest(Buffer.from(bytes.toString('latin1').replaceAll(boundary, '')))
  return { path, body, form, length: headers['content-length'] === undefined ? undefined : bytes.length }
}

describe('is the same through the gateway:', () => {
  it.each(calls)('%s', async (_, answer, call) => {
    const { straight, through } = await bothWays('openai', answer, (origin) => call(client(origin)))
    expect(straight.error).toBeUndefined()
    expect(through.error).toBeUndefined()
    expect(through.result).toEqual(straight.result)
    expect(sent(through.request)).toEqual(sent(straight.request))
    expect(through.request.headers.authorization).toBe('Bearer upstream-key')
  })

  it.each<[status: number, type: string]>([
    [400, 'invalid_request_error'],
    [404, 'invalid_request_error'],
    [429, 'insufficient_quota'],
    [500, 'server_error'],
  ])('an error with %i', async (status, type) => {
    const error = { message: 'No.', type, param: 'input', code: 'some_code', more: 1 }
    const refuses: Answer = (response) =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error }))
    const { straight, through } = await bothWays('openai', refuses, (origin) =>
      client(origin).embeddings.create({ model: MODEL, input: 'hi' }),
    )
    const { status: was, code, param, message, error: body } = straight.error as InstanceType<typeof OpenAI.APIError>
    expect(through.error).toMatchObject({ status: was, code, param, message, error: body as object })
    expect(through.error).toBeInstanceOf((straight.error as Error).constructor)
  })
})

describe('the mock', () => {
  it('embeds the same text in the same way', async () => {
    const { url } = await startGateway()
    const { embeddings: own } = client(url)
    const { data, usage } = await own.create({ model: 'mock', input: ['river', 'canal', 'river'], dimensions: 8 })
    const [river, canal, again] = data.map(({ embedding }) => embedding)
    expect(river).toHaveLength(8)
    expect(Math.hypot(...river!)).toBeCloseTo(1)
    expect(again).toEqual(river)
    expect(canal).not.toEqual(river)
    expect(usage.prompt_tokens).toBe(6)
    const plain = await own.create({ model: 'mock', input: 'river', dimensions: 8, encoding_format: 'float' })
    expect(plain.data[0]!.embedding).toEqual(river)
  })

  it('flags a text that names a category, without a model, too', async () => {
    const { url } = await startGateway()
    const { results } = await client(url).moderations.create({ input: ['a calm river', 'raw Violence'] })
    expect(results.map(({ flagged }) => flagged)).toEqual([false, true])
    expect(results[1]!.categories).toMatchObject({ violence: true, hate: false })
  })

  it('says that it has no images', async () => {
    const { url } = await startGateway()
    await expect(client(url).images.generate({ model: 'mock', prompt: 'x' })).rejects.toMatchObject({
      status: 404,
      code: 'not_found',
      message: '404 model: /images/generations is not offered by mock',
    })
  })
})
