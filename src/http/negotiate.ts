import { invalidField } from '../errors.ts'
import type { RequestContext } from './context.ts'
import { preferredType } from './media-types.ts'

export const EVENT_STREAM = 'text/event-stream'
export const JSON_TYPE = 'application/json'

/**
 * The offer that the caller's `Accept` header prefers; the first one when it has no preference.
 * @throws SluiceError `not_acceptable`
 */
export function negotiate<Offer extends string>(context: RequestContext, ...offers: readonly Offer[]): Offer {
  const accept = context.get('Accept')
  // What nearly all callers send is not worth parsing.
  const exact = offers.find((offer) => offer === accept)
  const best = exact ?? preferredType(accept, offers)
  if (best === undefined) throw invalidField('not_acceptable', 'Accept', `must allow ${offers.join(' or ')}`)
  return best
}
