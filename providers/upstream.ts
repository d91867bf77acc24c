import { Agent, errors, request, type Dispatcher } from 'undici'
import { z } from 'zod'
import type { ErrorCode } from '../src/errors.ts'
import { EventDecoder, EventTooLargeError, type DecodedEvent } from '../src/sse/decode.ts'
import { ProviderError } from './provider.ts'

/** What of an error body is read: enough for every provider's JSON, little enough for any page of HTML. */
const MAX_ERROR_BYTES = 64 * 1024

export interface UpstreamRequest {
  url: string
  headers: Record<string, string>
  body: unknown
  signal: AbortSignal
  dispatcher: Dispatcher
}

/** A connection pool for one provider. Silence is judged where tokens are counted, so no body timeout here. */
export function createDispatcher(): Agent {
  return new Agent({ connect: { timeout: 10_000 }, headersTimeout: 0, bodyTimeout: 0 })
}

/**
 * Posts JSON and reads the answer as Server-Sent Events: one array for each network read that completed any. Closes
 * the connection at once when `signal` is aborted or the iteration is left.
 *
 * @throws ProviderError for everything that can go wrong on the way; the signal's reason when aborted.
 */
export async function* requestEvents({
  url,
  headers,
  body,
  signal,
  dispatcher,
}: UpstreamRequest): AsyncGenerator<DecodedEvent[], void, void> {
  const response = await request(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      'accept-encoding': 'identity',
      ...headers,
    },
    body: JSON.stringify(body),
    signal,
    dispatcher,
  }).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : connectionError(error)
  })
  try {
    await checkResponse(response)
    const decoder = new EventDecoder()
    for await (const chunk of response.body) {
      const events = decoder.push(chunk)
      if (events.length > 0) yield events
    }
    const rest = decoder.end()
    if (rest.length > 0) yield rest
  } catch (error) {
    throw signal.aborted ? signal.reason : readError(error)
  } finally {
    // Without a listener the destroyed body would raise its abort as an uncaught error.
    response.body.on('error', () => {}).destroy()
  }
}

/**
 * Turns what one network read brought into at most one array of events. When reading one of them fails, those before
 * it are yielded first: they have been paid for.
 */
export function* readTogether<T>(
  messages: readonly DecodedEvent[],
  read: (message: DecodedEvent) => readonly T[],
): Generator<T[], void, void> {
  const events: T[] = []
  try {
    for (const message of messages) events.push(...read(message))
  } catch (error) {
    if (events.length > 0) yield events
    throw error
  }
  if (events.length > 0) yield events
}

async function checkResponse({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<void> {
  const type = String(headers['content-type'] ?? '')
  if (statusCode === 200 && (type === '' || type.includes('event-stream'))) return
  const text = await readStart(body)
  const message = errorMessage(text)
  if (statusCode >= 400) throw statusError(statusCode, message, parseRetryAfter(headers['retry-after']))
  if (statusCode === 200 && message !== undefined) throw new ProviderError({ code: 'upstream_error', message })
  throw new ProviderError({
    code: 'upstream_invalid_response',
    message: `The upstream answered ${statusCode} with ${type || 'no content type'} instead of an event stream.`,
    upstreamStatus: statusCode,
  })
}

async function readStart(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= MAX_ERROR_BYTES) break
  }
  return Buffer.concat(chunks).toString('utf8', 0, MAX_ERROR_BYTES)
}

const text = z.string().min(1)

/** The shapes in which providers say what is wrong: `{error: {message}}`, `{error: "…"}`, `{message}`, `{detail}`. */
const errorBody = z.union([
  z.object({ error: z.object({ message: text }) }).transform(({ error }) => error.message),
  z.object({ error: text }).transform(({ error }) => error),
  z.object({ message: text }).transform(({ message }) => message),
  z.object({ detail: text }).transform(({ detail }) => detail),
])

function errorMessage(body: string): string | undefined {
  try {
    return errorBody.safeParse(JSON.parse(body)).data
  } catch {
    return undefined // An HTML page, most likely, which says nothing to a reader.
  }
}

function statusError(status: number, message: string | undefined, retryAfter: number | undefined): ProviderError {
  const code = codeForStatus(status)
  // What an upstream says about the key can hold a part of it, and is the operator's business.
  const words = code === 'upstream_auth' ? undefined : message
  return new ProviderError({
    code,
    message: words ?? `The upstream answered ${status}.`,
    upstreamStatus: status,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  })
}

export function codeForStatus(status: number): ErrorCode {
  if (status === 401 || status === 403) return 'upstream_auth'
  if (status === 404) return 'upstream_not_found'
  if (status === 408 || status === 504) return 'upstream_timeout'
  if (status === 429) return 'upstream_rate_limited'
  if (status >= 500) return 'upstream_unavailable'
  return 'upstream_rejected'
}

/** Seconds, from either form of the header; undefined when it is absent or makes no sense. */
function parseRetryAfter(value: string | string[] | undefined): number | undefined {
  if (typeof value !== 'string') return undefined
  const seconds = Number(value)
  if (Number.isFinite(seconds)) return Math.max(0, seconds)
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000))
}

function connectionError(cause: unknown): ProviderError {
  if (cause instanceof errors.HeadersTimeoutError)
    return new ProviderError({ code: 'upstream_timeout', message: 'The upstream did not answer in time.', cause })
  return new ProviderError({ code: 'upstream_unreachable', message: 'The upstream cannot be reached.', cause })
}

function readError(cause: unknown): unknown {
  if (cause instanceof ProviderError) return cause
  if (cause instanceof EventTooLargeError)
    return new ProviderError({ code: 'upstream_invalid_response', message: `The upstream: ${cause.message}.`, cause })
  return new ProviderError({ code: 'upstream_disconnected', message: 'The upstream closed the connection.', cause })
}
