import bodyParser from 'koa-bodyparser'
import { invalidField, SluiceError } from '../../errors.ts'
import { http2Stream } from '../../sse/http2.ts'
import type { RequestContext, RequestMiddleware } from '../context.ts'

/** Reads a JSON body of at most `limit` bytes, and says in the gateway's own terms why it could not. */
export function jsonBody({ limit = 10 * 1024 * 1024 } = {}): RequestMiddleware {
  const parse = bodyParser({
    enableTypes: ['json'],
    jsonLimit: String(limit),
    onerror: (error) => {
      throw toSluiceError(error, limit)
    },
  })
  return async (context, next) => {
    announceBody(context)
    const is = context.request.is('json', '+json')
    if (is === null || context.request.length === 0)
      throw new SluiceError('invalid_json', 'The request has no body; a JSON object is expected.')
    if (is === false)
      throw invalidField('unsupported_media_type', 'Content-Type', 'must be application/json for this request')
    // `+json` types are JSON, whatever else they are.
    if (is !== 'json') context.request.headers['content-type'] = 'application/json'
    // On its own: it would keep what it has read until all that comes after it is over.
    await parse(context, async () => {})
    await next()
  }
}

/** What looks for a body knows the headers that announce one in HTTP/1.1; HTTP/2 needs none. */
function announceBody({ request, res }: RequestContext): void {
  if (http2Stream(res)?.endAfterHeaders === false && request.length === undefined)
    request.headers['transfer-encoding'] = 'chunked'
}

function toSluiceError(error: Error & { type?: string; status?: number }, limit: number): SluiceError {
  if (error.type === 'entity.too.large' || error.status === 413)
    return new SluiceError('body_too_large', `The body is larger than ${limit} bytes.`)
  if (error.status === 415)
    return invalidField('unsupported_media_type', 'Content-Encoding', 'must be gzip, deflate, br or identity')
  return new SluiceError('invalid_json', `The body is not JSON: ${error.message}`, { cause: error })
}
