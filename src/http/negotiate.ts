import { invalidField } from '../errors.ts'
import type { RequestContext } from './context.ts'

/** What the caller wants: a stream unless JSON is preferred. @throws SluiceError `not_acceptable` */
export function negotiate(context: RequestContext): 'event-stream' | 'json' {
  const best = context.accepts('text/event-stream', 'application/json')
  if (best === false) throw invalidField('not_acceptable', 'Accept', 'must allow text/event-stream or application/json')
  return best === 'application/json' ? 'json' : 'event-stream'
}
