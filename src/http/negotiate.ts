import { invalidField } from '../errors.ts'
import { PROTOCOL_NAMES } from '../protocols/protocol.ts'
import type { RequestContext } from './context.ts'

/** A media type with a parameter matches no offer without it. */
const OFFERED = [
  'text/event-stream',
  ...PROTOCOL_NAMES.map((name) => `text/event-stream;protocol=${name}`),
  'application/json',
]

/** What the caller wants: a stream unless JSON is preferred. @throws SluiceError `not_acceptable` */
export function negotiate(context: RequestContext): 'event-stream' | 'json' {
  const accept = context.get('Accept')
  // Nearly all there are, and each costs more to parse than the request.
  if (accept === 'text/event-stream' || accept === '') return 'event-stream'
  const best = context.accepts(...OFFERED)
  if (best === false) throw invalidField('not_acceptable', 'Accept', 'must allow text/event-stream or application/json')
  return best === 'application/json' ? 'json' : 'event-stream'
}
