import type { IncomingHttpHeaders } from 'node:http'
import { pipeline, type Readable, type Transform } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
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
  dispatcher: Connections
  /** How long connecting may take, TLS included, in milliseconds. */
  connectTimeoutMs?: number | undefined
}

/** The connections of one provider: a pool for each time that connecting may take. */
export class Connections {
  readonly #pools = new Map<number, Agent>()

  within(connectTimeoutMs = 10_000): Agent {
    const known = this.#pools.get(connectTimeoutMs)
    if (known) return known
    // Silence is judged where tokens are counted, so no other timeouts here.
    const pool = new Agent({ connect: { timeout: connectTimeoutMs }, headersTimeout: 0, bodyTimeout: 0 })
    this.#pools.set(connectTimeoutMs, pool)
    return pool
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()))
  }
}

export function createDispatcher(): Connections {
  return new Connections()
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
  connectTimeoutMs,
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
    dispatcher: dispatcher.within(connectTimeoutMs),
  }).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : connectionError(error)
  })
  try {
    await checkResponse(response)
    const decoder = new EventDecoder()
    for await (const chunk of decompress(response)) {
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

/** With each, what has arrived is passed on at once, and an end without the checksum is not the worst there is. */
const GZIP = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH }
const BROTLI = { flush: constants.BROTLI_OPERATION_FLUSH, finishFlush: constants.BROTLI_OPERATION_FLUSH }

const DECOMPRESSORS: Partial<Record<string, () => Transform>> = {
  gzip: () => createGunzip(GZIP),
  'x-gzip': () => createGunzip(GZIP),
  deflate: () => createInflate(GZIP),
  br: () => createBrotliDecompress(BROTLI),
}

/** The body as it was before a server, or a proxy before it, compressed it: some do although they are asked not to. */
function decompress({ headers, body }: Dispatcher.ResponseData): Readable {
  const codings = String(headers['content-encoding'] ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  let decoded: Readable = body
  for (const coding of codings.toReversed()) {
    const decompressor = DECOMPRESSORS[coding]?.()
    if (!decompressor) throw invalidResponse(`The upstream compressed its answer with ${coding}.`)
    // Its failure is seen by whoever reads from it.
    decoded = pipeline(decoded, decompressor, () => {})
  }
  return decoded
}

async function checkResponse(response: Dispatcher.ResponseData): Promise<void> {
  const { statusCode, headers } = response
  const type = String(headers['content-type'] ?? '')
  if (statusCode === 200 && (type === '' || type.includes('event-stream'))) return
  // Why the words cannot be read matters less than what the status says without them.
  const said = readErrorBody(await readStart(response).catch(() => ''))
  if (statusCode >= 400) throw statusError(statusCode, said, readRetryAfter(headers))
  if (statusCode === 200 && said) throw new ProviderError({ code: 'upstream_error', message: said.message })
  throw new ProviderError({
    code: 'upstream_invalid_response',
    message: `The upstream answered ${statusCode} with ${type || 'no content type'} instead of an event stream.`,
    upstreamStatus: statusCode,
  })
}

async function readStart(response: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of decompress(response)) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= MAX_ERROR_BYTES) break
  }
  return Buffer.concat(chunks).toString('utf8', 0, MAX_ERROR_BYTES)
}

const text = z.string().min(1)

interface ErrorBody {
  message: string
  code?: unknown
}

/** The shapes in which providers say what is wrong: `{error: {message}}`, `{error: "…"}`, `{message}`, `{detail}`. */
const errorBody: z.ZodType<ErrorBody> = z.union([
  z.object({ error: z.object({ message: text, code: z.unknown().optional() }) }).transform(({ error }) => error),
  z.object({ error: text }).transform(({ error }) => ({ message: error })),
  z.object({ message: text }),
  z.object({ detail: text }).transform(({ detail }) => ({ message: detail })),
])

function readErrorBody(body: string): ErrorBody | undefined {
  try {
    return errorBody.safeParse(JSON.parse(body)).data
  } catch {
    return undefined // An HTML page, most likely, which says nothing to a reader.
  }
}

function statusError(status: number, said: ErrorBody | undefined, retryAfter: number | undefined): ProviderError {
  const code = codeForStatus(status)
  // What an upstream says about the key can hold a part of it, and is the operator's business.
  const words = code === 'upstream_auth' ? undefined : said?.message
  // OpenAI's way of saying that a bill is to be paid: no wait ends that.
  const hopeless = said?.code === 'insufficient_quota'
  return new ProviderError({
    code,
    message: words ?? `The upstream answered ${status}.`,
    upstreamStatus: status,
    ...(hopeless ? { retryable: false } : {}),
    ...(retryAfter === undefined || hopeless ? {} : { retryAfter }),
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

/** Seconds, of `retry-after-ms` or either form of `retry-after`; undefined when absent or senseless. */
function readRetryAfter(headers: IncomingHttpHeaders): number | undefined {
  const milliseconds = readNumber(headers['retry-after-ms'])
  if (milliseconds !== undefined) return milliseconds / 1000
  const seconds = readNumber(headers['retry-after'])
  if (seconds !== undefined) return seconds
  const date = Date.parse(headers['retry-after'] ?? '')
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000))
}

function readNumber(value: string | string[] | undefined): number | undefined {
  return typeof value === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) : undefined
}

function connectionError(cause: unknown): ProviderError {
  if (cause instanceof errors.ConnectTimeoutError)
    return new ProviderError({ code: 'upstream_timeout', message: 'The upstream took too long to connect to.', cause })
  return new ProviderError({ code: 'upstream_unreachable', message: 'The upstream cannot be reached.', cause })
}

function readError(cause: unknown): unknown {
  if (cause instanceof ProviderError) return cause
  if (cause instanceof EventTooLargeError) return invalidResponse(`The upstream: ${cause.message}.`, cause)
  if (isDecompressionError(cause)) return invalidResponse('The upstream sent what cannot be decompressed.', cause)
  return new ProviderError({ code: 'upstream_disconnected', message: 'The upstream closed the connection.', cause })
}

/** zlib's codes, and those of Brotli. */
function isDecompressionError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(Z_|ERR__|ERR_BROTLI)/.test(String(error.code))
}

function invalidResponse(message: string, cause?: unknown): ProviderError {
  return new ProviderError({ code: 'upstream_invalid_response', message, cause })
}
