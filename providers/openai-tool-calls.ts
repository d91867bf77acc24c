import { z } from 'zod'
import { ProviderError, type ToolCallDelta } from './provider.ts'

const toolCallsSchema = z.array(
  z.looseObject({
    index: z.number().int().nonnegative().optional(),
    id: z.string().nullish(),
    type: z.string().nullish(),
    function: z.looseObject({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
  }),
)

type RawCall = z.infer<typeof toolCallsSchema>[number]

/**
 * Tells the tool calls of one choice apart. OpenAI numbers them; other servers leave the index out, give all calls
 * the same, repeat a call's id and name with every piece, or make up an id for each piece.
 */
export class ToolCallReader {
  /** Ids by our index; a call that has begun without one has an empty id. */
  readonly #ids: string[] = []
  /** The upstream's index → ours, of the call that was begun last under it. */
  readonly #aliases = new Map<number, number>()

  /** @throws ProviderError `upstream_invalid_response` */
  read(value: unknown): ToolCallDelta[] {
    if (value === undefined || value === null) return []
    const parsed = toolCallsSchema.safeParse(value)
    if (!parsed.success) throw invalidResponse('malformed tool calls', parsed.error)
    return parsed.data.map((call) => this.#readCall(call))
  }

  #readCall({ index: theirs, id, type: _, function: called, ...extra }: RawCall): ToolCallDelta {
    const name = called?.name
    const known = theirs === undefined ? this.#ids.length - 1 : this.#aliases.get(theirs)
    const begins = known === undefined || known < 0 || Boolean(id && name && !this.#ids.includes(id))
    let index = id && name ? this.#ids.indexOf(id) : -1
    if (begins) index = this.#ids.push(id ?? '') - 1
    else if (index < 0) index = known
    if (theirs !== undefined) this.#aliases.set(theirs, index)
    return {
      index,
      ...(begins && id ? { id } : {}),
      ...(begins ? { type: 'function' as const } : {}),
      function: { ...(begins && name ? { name } : {}), arguments: called?.arguments ?? '' },
      ...(Object.keys(extra).length > 0 ? { extra } : {}),
    }
  }
}

export function invalidResponse(what: string, cause?: unknown): ProviderError {
  return new ProviderError({ code: 'upstream_invalid_response', message: `The upstream sent ${what}.`, cause })
}
