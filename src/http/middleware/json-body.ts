import bodyParser from 'koa-bodyparser'
import { invalidField, SluiceError } from '../../errors.ts'
import { countJson, JsonError } from '../../json.ts'
import type { Heartbeat } from '../../sse/heartbeat.ts'
import { http2Stream } from '../../sse/http2.ts'
import { storeFull, type Budget, type Hold } from '../../stream/budget.ts'
import { BodyPace, FIRST_BYTES } from '../body-pace.ts'
import type { RequestContext, RequestMiddleware } from '../context.ts'

export interface JsonBodyOptions {
  /** Bytes that a body may have, decompressed. */
  limit?: number
  /** Counts bodies while they come, and what they are parsed into. */
  budget: Budget
  heartbeat: Heartbeat
  /** How long a body may take to bring the next 16 KiB, or its end, in milliseconds. */
  slowBodyMs: number
}

/** A body may become this many times as large when it is decompressed. Conversations shrink to a tenth or so. */
const MAX_RATIO = 100

/** What a parsed value or name takes beside its characters. */
const VALUE_BYTES = 24

function isCompressed(context: RequestContext): boolean {
  return !['', 'identity'].includes(context.get('Content-Encoding'))
}

/**
 * Reads a JSON body, and says in the gateway's own terms why it could not. The memory for it is taken before it is
 * read, and a body that comes too slowly is not waited for.
 */
export function jsonBody({
  limit = 10 * 1024 * 1024,
  budget,
  heartbeat,
  slowBodyMs,
}: JsonBodyOptions): RequestMiddleware {
  const readPlain = textReader(limit)
  return async (context, next) => {
    announceBody(context)
    checkType(context)
    const { client } = context.state
    const { length } = context.request
    const ratio = isCompressed(context) ? MAX_RATIO : 1
    const most = length === undefined ? limit : Math.min(limit, ratio * length)
    // What is announced must fit, but only bytes that come make finished streams go.
    if (!budget.allows(client, most)) throw storeFull()
    const hold = budget.hold('requests', client, context.req.complete ? most : Math.min(most, FIRST_BYTES))
    context.state.prompt = hold
    try {
      const read = ratio > 1 && most < limit ? textReader(most, ratio) : readPlain
      // Most bodies have come with their headers.
      if (context.req.complete) await read(context)
      else await untilRead(context, read, new BodyPace({ hold, ratio, most, periodMs: slowBodyMs }), heartbeat)
      parseBody(context, hold)
      await next()
    } finally {
      context.state.prompt?.release()
    }
  }
}

/** What looks for a body knows the headers that announce one in HTTP/1.1; HTTP/2 needs none. */
function announceBody({ request, res }: RequestContext): void {
  if (http2Stream(res)?.endAfterHeaders === false && request.length === undefined)
    request.headers['transfer-encoding'] = 'chunked'
}

function checkType({ request }: RequestContext): void {
  const is = request.is('json', '+json')
  if (is === null || request.length === 0)
    throw new SluiceError('invalid_json', 'The request has no body; a JSON object is expected.')
  if (is === false)
    throw invalidField('unsupported_media_type', 'Content-Type', 'must be application/json for this request')
  // `+json` types are JSON, whatever else they are.
  if (is !== 'json') request.headers['content-type'] = 'application/json'
}

type ReadText = (context: RequestContext) => Promise<unknown>

/** Reads text only: JSON is parsed once its depth and its size are known. */
function textReader(limit: number, ratio?: number): ReadText {
  const parse = bodyParser({
    enableTypes: ['text'],
    extendTypes: { text: ['application/json'] },
    textLimit: String(limit),
    onerror: (error) => {
      throw toSluiceError(error, limit, ratio)
    },
  })
  // On its own: as middleware it would keep what it has read until all that comes after it is over.
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

/** The reader is left behind when the pace ends the wait; it fails when the connection closes. */
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

function parseBody({ request }: RequestContext, hold: Hold): void {
  const text = request.rawBody
  try {
    const size = countJson(text)
    // A string with one character beyond Latin-1 takes two bytes for each.
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

/** The name in quotes, written in any way. */
const PROTO = /"(?:_|\\u005f){2}(?:p|\\u0070)(?:r|\\u0072)(?:o|\\u006f)(?:t|\\u0074)(?:o|\\u006f)(?:_|\\u005f){2}"\s*:/i

/** Whoever copied such a member would set a prototype. */
function refuseProto(name: string, value: unknown): unknown {
  if (name === '__proto__') throw invalidField('invalid_request', '__proto__', 'is not allowed as a name')
  return value
}
