import { SluiceError, type ErrorCode } from '../../errors.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { withoutMessage } from '../../telemetry/redact.ts'
import { cutOff, refuseBody } from '../../sse/http2.ts'
import type { RequestContext } from '../context.ts'
import { joins } from './observe-requests.ts'

/** Renders an error in the request's protocol. An error other than a `SluiceError` is a bug: logged, not shown. */
export function renderError(context: RequestContext, logger: Logger, thrown: unknown): void {
  const error =
    thrown instanceof SluiceError
      ? thrown
      : new SluiceError('internal_error', 'Something went wrong in the gateway.', { cause: thrown })
  context.state.errorCode = error.code
  if (error.code === 'internal_error')
    logger.error({ ...joins(context), err: withoutMessage(thrown) }, 'request failed')
  if (context.res.headersSent) cutOff(context.res)
  else render(context, error)
}

/** After these errors the rest of the body is not read. */
const REFUSES_BODY: ReadonlySet<ErrorCode> = new Set(['body_too_large', 'request_timeout', 'store_full'])

function render(context: RequestContext, error: SluiceError): void {
  const { protocol, requestId } = context.state
  const { status = error.status, type, headers = {}, body } = protocol.renderError(error, requestId)
  context.respond = true
  context.status = status
  context.type = type
  context.set(headers)
  // In every protocol, whatever its bodies can say.
  context.set('Sluice-Error', error.code)
  // https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.2
  if (error.status === 401) context.set('WWW-Authenticate', 'Bearer')
  if (error.retryAfter !== undefined) context.set('Retry-After', String(Math.ceil(error.retryAfter)))
  if (!context.req.complete && REFUSES_BODY.has(error.code)) refuseBody(context.res)
  context.body = JSON.stringify(body)
}

/** When no route matches, the router sets only a status, without a body. @throws SluiceError */
export function checkRouted({ status, body, path, method }: RequestContext): void {
  if (body !== undefined) return
  if (status === 404) throw new SluiceError('not_found', `There is nothing at ${path}.`)
  if (status === 405 || status === 501)
    throw new SluiceError('method_not_allowed', `${method} is not allowed at ${path}; see the Allow header.`)
}
