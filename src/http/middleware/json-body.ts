import bodyParser from 'koa-bodyparser'
import { invalidField, SluiceError } from '../../errors.ts'
import { countJson, JSON_LIMITS, JsonError, VALUE_BYTES } from '../../json.ts'
import type { Heartbeat, HeartbeatListener } from '../../sse/heartbeat.ts'
import { http2Stream, whenOver } from '../../sse/http2.ts'
import { storeFull, type Budget, type Hold } from '../../store/budget.ts'
import type { RequestContext, RequestMiddleware } from '../context.ts'

export interface JsonBodyOptions {
  /** Largest body in bytes, decompressed. */
  limit?: number
  /** Counts bodies while they arrive, and the values parsed from them. */
  budget: Budget
  heartbeat: Heartbeat
  /** Milliseconds in which the next 16 KiB of a body, or its end, must arrive. */
  slowBodyMs: number
  /** Most values and names in a body; the default suits bodies that are validated. */
  maxValues?: number
}

/** Largest ratio of decompressed to compressed size. Conversations compress to about a tenth. */
const MAX_RATIO = 100

function isCompressed(context: RequestContext): boolean {
  return !['', 'identity'].includes(context.get('Content-Encoding'))
}

/** Reads a JSON body. Reserves its memory first, and fails a body that arrives too slowly. */
export function jsonBody({
  limit = 10 * 1024 * 1024,
  budget,
  heartbeat,
  slowBodyMs,
  maxValues = JSON_LIMITS.size,
}: JsonBodyOptions): RequestMiddleware {
  const readPlain = textReader(limit)
  return async (context, next) => {
    announceBody(context)
    checkType(context)
    const { client } = context.state
    const { length } = context.request
    const isArrived = isPlain(context) && length !== undefined && length <= limit
    const ratio = isCompressed(context) ? MAX_RATIO : 1
    const most = length === undefined ? limit : Math.min(limit, ratio * length)
    // The announced size must fit, but only bytes that have arrived evict finished streams.
    if (!budget.allows(client, most)) throw storeFull()
    const hold = budget.hold('requests', client, context.req.complete ? most : Math.min(most, FIRST_BYTES))
    context.state.prompt = hold
    try {
      const read = ratio > 1 && most < limit ? textReader(most, ratio) : readPlain
      // Most bodies arrive together with their headers.
      if (isArrived) context.request.rawBody = takeText(context)
      else if (context.req.complete) await read(context)
      else await untilRead(context, read, new BodyPace({ hold, ratio, most, periodMs: slowBodyMs }), heartbeat)
    } catch (error) {
      leaveBody(context, hold)
      throw error
    }
    try {
      parseBody(context, hold, maxValues)
      await next()
    } finally {
      context.state.prompt?.release()
    }
  }
}

const UTF8_JSON = /^application\/json(?:; ?charset=utf-8)?$/i

/** The body has arrived, and neither its type nor its coding needs koa-bodyparser, which costs as much as all the rest. */
function isPlain({ req, res }: RequestContext): boolean {
  const { 'content-type': type = '', 'content-encoding': coding } = req.headers
  return req.complete && coding === undefined && UTF8_JSON.test(type) && http2Stream(res) === undefined
}

/** From Node 26 on, each `read` returns one piece of what has arrived. */
function takeText({ req }: RequestContext): string {
  const pieces: Buffer[] = []
  for (let piece: unknown = req.read(); Buffer.isBuffer(piece); piece = req.read()) pieces.push(piece)
  return UTF8.decode(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces))
}

/** Skips a byte order mark, and replaces what is no UTF-8. */
const UTF8 = new TextDecoder()

/** koa-bodyparser looks for HTTP/1.1 headers that announce a body; HTTP/2 has none. */
function announceBody({ request, res }: RequestContext): void {
  if (http2Stream(res)?.endAfterHeaders === false && request.length === undefined)
    request.headers['transfer-encoding'] = 'chunked'
}

function checkType({ request, req }: RequestContext): void {
  if (req.headers['content-type'] === 'application/json' && request.length) return
  const is = request.is('json', '+json')
  if (is === null || request.length === 0)
    throw new SluiceError('invalid_json', 'The request has no body; a JSON object is expected.')
  if (is === false)
    throw invalidField('unsupported_media_type', 'Content-Type', 'must be application/json for this request')
  // `+json` types are JSON, too.
  if (is !== 'json') request.headers['content-type'] = 'application/json'
}

type ReadText = (context: RequestContext) => Promise<unknown>

/** Reads text only: JSON is parsed after its depth and size have been checked. */
function textReader(limit: number, ratio?: number): ReadText {
  const parse = bodyParser({
    enableTypes: ['text'],
    extendTypes: { text: ['application/json'] },
    textLimit: String(limit),
    onerror: (error) => {
      throw toSluiceError(error, limit, ratio)
    },
  })
  // Not used as middleware: it would keep the text until all later middleware has finished.
  return (context) => parse(context, async () => {})
}

function toSluiceError(error: Error & { type?: string; status?: number }, limit: number, ratio?: number): SluiceError {
  if (error.type === 'entity.too.large' || error.status === 413)
    return new SluiceError(
      'body_too_large',
      ratio ? `The body is more than ${ratio} times its compressed size.` : `The body is larger than ${limit} bytes.`,
    )
  if (error.status === 415)
    return invalidField('unsupported_media_type', 'Content-Encoding', 'must be gzip, deflate, br or identity')
  return new SluiceError('invalid_json', `The body cannot be read: ${error.message}`, { cause: error })
}

/**
 * Stops reading a body that has been refused, whether or not the client gets the error. The bytes that have arrived
 * stay in memory until the response is over.
 */
function leaveBody({ req, res, state }: RequestContext, hold: Hold): void {
  req.unpipe()
  req.removeAllListeners('data')
  req.pause()
  state.prompt = undefined
  whenOver(res, () => hold.release())
}

/** Rejects when `pace` fails; `read` then stays pending until the connection closes. */
async function untilRead(context: RequestContext, read: ReadText, pace: BodyPace, heartbeat: Heartbeat): Promise<void> {
  const { req } = context
  const onData = (chunk: Buffer) => pace.add(chunk.length)
  const done = read(context)
  req.on('data', onData)
  heartbeat.join(pace)
  try {
    await Promise.race([done, pace.failed])
  } finally {
    heartbeat.leave(pace)
    req.off('data', onData)
  }
}

function parseBody({ request }: RequestContext, hold: Hold, maxValues: number): void {
  const text = request.rawBody
  try {
    const size = countJson(text, { ...JSON_LIMITS, size: maxValues })
    // One character beyond Latin-1 makes the whole string take two bytes per character.
    const width = Buffer.byteLength(text) === text.length ? 1 : 2
    hold.become('prompts', width * text.length + VALUE_BYTES * size)
    request.body = JSON.parse(text, PROTO.test(text) ? refuseProto : undefined)
  } catch (error) {
    if (error instanceof SluiceError) throw error
    if (error instanceof JsonError) throw invalidField('invalid_request', '(body)', error.message)
    const why = error instanceof Error ? error.message : String(error)
    throw new SluiceError('invalid_json', `The body is not JSON: ${why}`, { cause: error })
  }
}

/** `__proto__` as a member name, with any escapes. */
const PROTO = /"(?:_|\\u005f){2}(?:p|\\u0070)(?:r|\\u0072)(?:o|\\u006f)(?:t|\\u0074)(?:o|\\u006f)(?:_|\\u005f){2}"\s*:/i

/** Copying such a member would set a prototype. */
function refuseProto(name: string, value: unknown): unknown {
  if (name === '__proto__') throw invalidField('invalid_request', '__proto__', 'is not allowed as a name')
  return value
}

/** Reserved for a body before its first bytes arrive. */
const FIRST_BYTES = 16 * 1024

/** Bytes of a body that must arrive in each period: less than any usable network carries. */
const BYTES_PER_PERIOD = 16 * 1024

interface BodyPaceOptions {
  /** Grows with the body. */
  hold: Hold
  /** Largest ratio of decompressed to compressed size. */
  ratio: number
  /** Largest body in bytes, decompressed. */
  most: number
  /** Milliseconds in which the next 16 KiB of the body, or its end, must arrive. */
  periodMs: number
}

/** Checks that a body keeps coming, and counts its memory. */
class BodyPace implements HeartbeatListener {
  /** Rejects when the body is too slow, or when there is no memory for it. */
  readonly failed: Promise<never>
  #fail: (error: SluiceError) => void = () => {}
  readonly #options: BodyPaceOptions
  #held = FIRST_BYTES
  #received = 0
  #periodStart = performance.now()
  #receivedBefore = 0

  constructor(options: BodyPaceOptions) {
    this.#options = options
    this.failed = new Promise((_, reject) => (this.#fail = reject))
    this.failed.catch(() => {})
  }

  add(bytes: number): void {
    const { hold, ratio, most } = this.#options
    this.#received += bytes
    const needed = Math.min(most, ratio * this.#received)
    if (needed <= this.#held) return
    // Reserved ahead, so that the budget is asked once per quarter of growth.
    this.#held = Math.min(most, Math.ceil(1.25 * needed))
    try {
      // A string that grows chunk by chunk takes up to a quarter more than its bytes.
      hold.become('requests', Math.ceil(1.25 * this.#held))
    } catch (error) {
      if (error instanceof SluiceError) this.#fail(error)
    }
  }

  beat(now: number): void {
    if (now - this.#periodStart < this.#options.periodMs) return
    if (this.#received - this.#receivedBefore < BYTES_PER_PERIOD)
      this.#fail(new SluiceError('request_timeout', 'The body of the request came too slowly.'))
    this.#receivedBefore = this.#received
    this.#periodStart = now
  }
}
