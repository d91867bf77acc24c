import { createServer } from 'node:net'
import { onTestFinished } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { chatChunks, chunk, type Answer, type Upstream } from './upstream.ts'

export const EVENT_STREAM = { 'content-type': 'text/event-stream' }
export const TOKENS = chatChunks(chunk({ role: 'assistant', content: 'one ' }), chunk({ content: 'two ' }))
export const WHOLE = TOKENS + chatChunks(chunk({}, { finish_reason: 'stop' }), '[DONE]')

export const status =
  (code: number, body = '', headers: Record<string, string> = {}): Answer =>
  (response) =>
    void response.writeHead(code, headers).end(body)

export const stream = (body: string | Buffer, headers: Record<string, string> = {}) =>
  status(200, body as string, { ...EVENT_STREAM, ...headers })

/** Sends this, and then whatever it takes not to end well. */
export const open =
  (body: string, then: 'silence' | 'reset'): Answer =>
  (response) => {
    response.writeHead(200, EVENT_STREAM).flushHeaders()
    const next = () => void (then === 'reset' && response.destroy())
    if (body) response.write(body, next)
    else next()
  }

const quota = JSON.stringify({ error: { message: 'You exceeded your quota', code: 'insufficient_quota' } })
const longLine = Buffer.concat([Buffer.from(`data: {"x":"`), Buffer.alloc(64 * 1024 * 1024, 'x')])

export interface Fault {
  what: string
  /** What the upstream does … */
  answer?: Answer
  /** … or where there is none. */
  url?: (upstream: Upstream) => string | Promise<string>
  limits?: { firstTokenTimeoutMs?: number; idleTimeoutMs?: number; connectTimeoutMs?: number; retries?: number }
  code: ErrorCode
  /** How often the target is asked. */
  attempts: number
  fallsBack: boolean
  /** What has been passed on by then. */
  text?: string
  retryAfter?: number
}

const ONCE = { attempts: 1 }
const RETRIED = { attempts: 3 }
const patient = { firstTokenTimeoutMs: 60, idleTimeoutMs: 60 }
const begun = { attempts: 1, fallsBack: false, text: 'one two ' }

export const faults: Fault[] = [
  // No connection.
  { what: 'a refused connection', url: closedPort, code: 'upstream_unreachable', ...RETRIED, fallsBack: true },
  {
    what: 'a name that DNS does not know',
    url: () => 'http://nonexistent.invalid',
    code: 'upstream_unreachable',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'TLS to a port that speaks none',
    url: ({ url }) => url.replace('http:', 'https:'),
    code: 'upstream_unreachable',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'TLS to a port that says nothing',
    url: silentPort,
    limits: { connectTimeoutMs: 50, retries: 0 },
    code: 'upstream_timeout',
    ...ONCE,
    fallsBack: true,
  },

  // An answer that is an error.
  { what: '400', answer: status(400), code: 'upstream_rejected', ...ONCE, fallsBack: false },
  { what: '401', answer: status(401), code: 'upstream_auth', ...ONCE, fallsBack: true },
  { what: '402', answer: status(402), code: 'upstream_auth', ...ONCE, fallsBack: true },
  { what: '403', answer: status(403), code: 'upstream_auth', ...ONCE, fallsBack: true },
  { what: '404', answer: status(404), code: 'upstream_not_found', ...ONCE, fallsBack: true },
  { what: '410', answer: status(410), code: 'upstream_not_found', ...ONCE, fallsBack: true },
  { what: '408', answer: status(408), code: 'upstream_timeout', ...RETRIED, fallsBack: true },
  { what: '429', answer: status(429), code: 'upstream_rate_limited', ...RETRIED, fallsBack: true },
  {
    what: '429 with a short Retry-After',
    answer: status(429, '', { 'retry-after': '7' }),
    code: 'upstream_rate_limited',
    ...RETRIED,
    fallsBack: true,
    retryAfter: 7,
  },
  {
    what: '429 with a long Retry-After',
    answer: status(429, '', { 'retry-after': '70' }),
    code: 'upstream_rate_limited',
    ...ONCE,
    fallsBack: true,
    retryAfter: 70,
  },
  {
    what: '429 with Retry-After in milliseconds, which says more than seconds',
    answer: status(429, '', { 'retry-after-ms': '1500', 'retry-after': '70' }),
    code: 'upstream_rate_limited',
    ...RETRIED,
    fallsBack: true,
    retryAfter: 1.5,
  },
  {
    what: '429 with a Retry-After that makes no sense',
    answer: status(429, '', { 'retry-after': 'soon' }),
    code: 'upstream_rate_limited',
    ...RETRIED,
    fallsBack: true,
  },
  ...['9'.repeat(400), '1'.repeat(15), 'Fri, 31 Dec 9999 23:59:59 GMT'].map((wait): Fault => ({
    what: `429 with a Retry-After of ${wait.slice(0, 20)}, capped at a day`,
    answer: status(429, '', { 'retry-after': wait }),
    code: 'upstream_rate_limited',
    ...ONCE,
    fallsBack: true,
    retryAfter: 86_400,
  })),
  {
    what: '429 for a bill that is not paid',
    answer: status(429, quota, { 'retry-after': '7' }),
    code: 'upstream_rate_limited',
    ...ONCE,
    fallsBack: true,
  },
  { what: '500', answer: status(500), code: 'upstream_unavailable', ...RETRIED, fallsBack: true },
  { what: '503', answer: status(503), code: 'upstream_unavailable', ...RETRIED, fallsBack: true },
  {
    what: '500 with what is not compressed as it says',
    answer: status(500, 'plain', { 'content-encoding': 'gzip' }),
    code: 'upstream_unavailable',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'a status of 600',
    answer: status(600),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'a status of 999',
    answer: status(999),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  { what: '504', answer: status(504), code: 'upstream_timeout', ...RETRIED, fallsBack: true },

  // An answer that is none.
  {
    what: '200 with a page of HTML',
    answer: status(200, '<html>', { 'content-type': 'text/html' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: '200 with another content type',
    answer: status(200, 'hello', { 'content-type': 'application/octet-stream' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: '200 with JSON that is no answer',
    answer: status(200, '{"object":"list"}', { 'content-type': 'application/json' }),
    code: 'upstream_invalid_response',
    ...ONCE,
    fallsBack: true,
  },
  {
    what: '200 with an error about the key',
    answer: status(200, '{"error":{"message":"no","code":401}}', { 'content-type': 'application/json' }),
    code: 'upstream_auth',
    ...ONCE,
    fallsBack: true,
  },
  {
    what: '302',
    answer: status(302, '', { location: '/elsewhere' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'what is not compressed as it says',
    answer: stream(WHOLE, { 'content-encoding': 'gzip' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'what is not compressed with Brotli as it says',
    answer: stream(WHOLE, { 'content-encoding': 'br' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'a compression that nobody knows',
    answer: stream(WHOLE, { 'content-encoding': 'sdch' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'garbage instead of JSON',
    answer: stream('data: {"choices":[{\n\n'),
    code: 'upstream_invalid_response',
    ...ONCE,
    fallsBack: true,
  },
  {
    what: 'a line of 64 MB',
    answer: stream(longLine),
    code: 'upstream_invalid_response',
    ...ONCE,
    fallsBack: true,
  },

  {
    what: 'JSON that is nested too deeply',
    answer: stream(`data: ${'['.repeat(100_000)}\n\n`),
    code: 'upstream_invalid_response',
    ...ONCE,
    fallsBack: true,
  },
  {
    what: 'three compressions',
    answer: stream(WHOLE, { 'content-encoding': 'gzip, gzip, gzip' }),
    code: 'upstream_invalid_response',
    ...ONCE,
    fallsBack: true,
  },

  // An answer that does not come, or ends, before its first token.
  {
    what: 'headers that do not come',
    answer: () => {},
    limits: patient,
    code: 'upstream_timeout',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'a first token that does not come',
    answer: open(chatChunks(chunk({ role: 'assistant', content: '' })), 'silence'),
    limits: patient,
    code: 'upstream_timeout',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'a connection that is cut before the first token',
    answer: open(chatChunks(chunk({ role: 'assistant', content: '' })), 'reset'),
    code: 'upstream_disconnected',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'an end before the first token',
    answer: stream(''),
    code: 'upstream_truncated',
    ...RETRIED,
    fallsBack: true,
  },

  // The same after it: nothing is started again.
  {
    what: 'a stall after two tokens',
    answer: open(TOKENS, 'silence'),
    // The first token may take its time, so that a slow machine does not make another fault of this.
    limits: { idleTimeoutMs: 60 },
    code: 'upstream_timeout',
    ...begun,
  },
  {
    what: 'a connection that is cut after two tokens',
    answer: open(TOKENS, 'reset'),
    code: 'upstream_disconnected',
    ...begun,
  },
  { what: 'a clean end after two tokens', answer: stream(TOKENS), code: 'upstream_truncated', ...begun },
  {
    what: 'garbage after two tokens',
    answer: stream(`${TOKENS}data: {"choices":[{\n\n`),
    code: 'upstream_invalid_response',
    ...begun,
  },
  {
    what: 'an error after two tokens',
    answer: stream(TOKENS + chatChunks({ error: { message: 'too busy', code: 503 } })),
    code: 'upstream_unavailable',
    ...begun,
  },
  {
    what: 'a line of 64 MB after two tokens',
    answer: stream(Buffer.concat([Buffer.from(TOKENS), longLine])),
    code: 'upstream_invalid_response',
    ...begun,
  },
]

async function closedPort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

async function silentPort(): Promise<string> {
  const server = createServer((socket) => void socket.on('error', () => {})).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => void server.close())
  return `https://127.0.0.1:${(server.address() as { port: number }).port}`
}
