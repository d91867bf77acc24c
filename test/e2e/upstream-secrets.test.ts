import { describe, expect, it } from 'vitest'
import type { ProviderConfig } from '../../providers/options.ts'
import { loadProvider } from '../../providers/registry.ts'
import { stream, status } from '../support/faults.ts'
import type { ProviderError } from '../../providers/provider.ts'
import { chatChunks, chunk, startUpstream, type Answer } from '../support/upstream.ts'
import { iterate } from '../support/iterate.ts'

const KEY = 'sk-first-1234'
const OTHER_KEY = 'sk-other/5678'
const QUERY_KEY = 'query-key-9012'
const HEADER_KEY = 'header-key-3456'
const secrets = [KEY, OTHER_KEY, QUERY_KEY, HEADER_KEY]

/** An error message that quotes the request's secrets. */
const WORDS = `refused: Bearer ${KEY}, ${encodeURIComponent(OTHER_KEY)}, ?key=${QUERY_KEY}, ${HEADER_KEY}`

type Type = 'openai' | 'anthropic'

/** The error of a provider whose upstream sends this answer. */
async function failureOf(type: Type, answer: Answer): Promise<Error> {
  const upstream = await startUpstream(answer)
  const config: ProviderConfig = {
    baseUrl: `${upstream.url}?key=${QUERY_KEY}`,
    apiKey: [KEY, OTHER_KEY],
    headers: { 'x-proxy-token': HEADER_KEY },
    ...(type === 'openai' ? { type, includeUsage: true } : { type, maxTokens: 10 }),
  }
  const { provider } = await loadProvider(type, config)
  const context = {
    signal: new AbortController().signal,
    streamId: 'str_1',
    options: {},
    connectTimeoutMs: 10_000,
    apiKey: KEY,
  }
  try {
    for await (const _ of iterate(provider.stream({ model: 'm', messages: [] }, context)));
  } catch (error) {
    if (error instanceof Error) return error
  } finally {
    await provider.close?.()
  }
  throw new Error('it did not fail')
}

const said: [what: string, type: Type, answer: Answer][] = [400, 401, 403, 404, 409, 422, 429, 500, 503, 529].map(
  (code) => [`with ${code}`, 'openai', status(code, JSON.stringify({ error: { message: WORDS, code: KEY } }))],
)
const anyField = () => ({
  message: 'kept as it is',
  param: `messages.${KEY}`,
  details: { quoted: [WORDS], [QUERY_KEY]: { deep: HEADER_KEY } },
})
const inStream = (error: unknown) => stream(chatChunks(chunk({ content: 'a' })) + chatChunks({ error }))

describe('an upstream that quotes its keys', () => {
  it.each<[what: string, type: Type, answer: Answer]>([
    ...said,
    ['with 400 from Anthropic', 'anthropic', status(400, JSON.stringify({ error: { message: WORDS } }))],
    ['with 200 and an error', 'openai', status(200, JSON.stringify({ error: WORDS }), { 'content-type': 'a/json' })],
    ['as its content type', 'openai', status(200, '', { 'content-type': WORDS })],
    ['as its content coding', 'openai', stream('', { 'content-encoding': WORDS.split(',')[0] ?? '' })],
    ['in the stream', 'openai', inStream({ message: WORDS })],
    ['in the stream, as a string', 'openai', inStream(WORDS)],
    ['in the stream, with a code', 'openai', inStream({ message: WORDS, code: 429 })],
    [
      'in the stream of Anthropic',
      'anthropic',
      stream(chatChunks({ type: 'error', error: { type: 'overloaded_error', message: WORDS } })),
    ],
  ])('%s does not leak them to the reader', async (_, type, answer) => {
    const error = await failureOf(type, answer)
    for (const secret of secrets) {
      expect(error.message).not.toContain(secret)
      expect(error.message).not.toContain(encodeURIComponent(secret))
      expect(error.stack).not.toContain(secret)
    }
  })

  it.each<[what: string, type: Type, answer: Answer]>([
    ['in a response', 'openai', status(400, JSON.stringify({ error: anyField() }))],
    ['in the stream', 'openai', inStream(anyField())],
    ['in a response of Anthropic', 'anthropic', status(400, JSON.stringify({ type: 'error', error: anyField() }))],
    ['in the stream of Anthropic', 'anthropic', stream(chatChunks({ type: 'error', error: anyField() }))],
  ])('in any field of its error object does not leak them to clients of its protocol: %s', async (_, type, answer) => {
    const { carried } = (await failureOf(type, answer)) as ProviderError
    const json = JSON.stringify(carried)
    expect(json).toContain('kept as it is')
    for (const secret of secrets) expect(json).not.toContain(secret)
  })

  it('says nothing about a key that was refused, whatever the key', async () => {
    const error = { type: 'authentication_error', message: 'invalid key sk-ab12', detail: 'sk-ab12', param: null }
    for (const type of ['openai', 'anthropic'] as const)
      for (const code of [200, 401, 402, 403]) {
        const failure = await failureOf(type, status(code, JSON.stringify({ error }), { 'content-type': 'a/json' }))
        expect(failure).toMatchObject({ code: 'upstream_auth' })
        expect(JSON.stringify([failure, failure.message])).not.toContain('sk-ab12')
      }
  })

  it('is quoted with the keys redacted', async () => {
    const { message } = await failureOf('openai', inStream({ message: WORDS }))
    expect(message).toBe('refused: [redacted], [redacted], ?key=[redacted], [redacted]')
  })
})
