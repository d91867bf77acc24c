import { invalidField } from './errors.ts'

export const EVENT_STREAM = 'text/event-stream'
export const JSON_TYPE = 'application/json'

/** One entry of an `Accept` header: a media type or wildcard, and its weight. */
export interface MediaRange {
  /** In lower case. */
  type: string
  /** By lower-case name, without `q`; values are unquoted. */
  parameters: ReadonlyMap<string, string>
  /** From 0 (not acceptable) to 1. */
  weight: number
}

const WEIGHT = /^(?:0(?:\.\d*)?|1(?:\.0*)?)$/

/** Reads an `Accept` header: https://www.rfc-editor.org/rfc/rfc9110.html#section-12.5.1 */
export function parseMediaRanges(header: string): MediaRange[] {
  return header.split(',').flatMap((range) => {
    const [type = '', ...rest] = range.split(';').map((part) => part.trim())
    if (type === '') return []
    const parameters = new Map(rest.map(parseParameter))
    const q = parameters.get('q') ?? ''
    parameters.delete('q')
    return { type: type.toLowerCase(), parameters, weight: WEIGHT.test(q) ? Number(q) : 1 }
  })
}

/**
 * The offer that an `Accept` header prefers; undefined when it allows none. Ties go to the type that the header lists
 * first, then to the first offer. Parameters such as `charset` exclude no offer.
 */
export function preferredType<Offer extends string>(accept: string, offers: readonly Offer[]): Offer | undefined {
  const ranges = parseMediaRanges(accept)
  if (ranges.length === 0) return offers[0]
  let best: { offer: Offer; weight: number; place: number } | undefined
  for (const offer of offers) {
    const match = findRange(ranges, offer)
    if (!match || match.weight === 0) continue
    const place = match.type === offer ? ranges.indexOf(match) : ranges.length
    if (!best || match.weight > best.weight || (match.weight === best.weight && place < best.place))
      best = { offer, weight: match.weight, place }
  }
  return best?.offer
}

/**
 * The most specific range for a type; among several for the same type, such as two versions, the one with the highest
 * weight.
 */
function findRange(ranges: readonly MediaRange[], type: string): MediaRange | undefined {
  for (const wanted of [type, `${type.slice(0, type.indexOf('/'))}/*`, '*/*']) {
    const [first, ...others] = ranges.filter((range) => range.type === wanted)
    if (first) return others.reduce((most, each) => (each.weight > most.weight ? each : most), first)
  }
  return undefined
}

function parseParameter(text: string): [name: string, value: string] {
  const [name = '', ...value] = text.split('=')
  return [
    name.trim().toLowerCase(),
    value
      .join('=')
      .trim()
      .replace(/^"(.*)"$/, '$1'),
  ]
}

/**
 * The offer that an `Accept` header prefers; the first one when it has no preference.
 * @throws SluiceError `not_acceptable`
 */
export function negotiate<Offer extends string>(accept: string, ...offers: readonly Offer[]): Offer {
  // Nearly all callers send exactly one offer, so parsing is unnecessary.
  const best = offers.find((offer) => offer === accept) ?? preferredType(accept, offers)
  if (best === undefined) throw invalidField('not_acceptable', 'Accept', `must allow ${offers.join(' or ')}`)
  return best
}
