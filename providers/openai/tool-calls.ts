import { z } from 'zod'
import { MAX_TOOL_CALLS } from '../received-fields.ts'
import type { ToolCallDelta } from '../provider.ts'
import { sentInvalid, sentOverLimit } from '../upstream-errors.ts'

const toolCallsSchema = z.array(
  z.looseObject({
    index: z.number().int().nonnegative().optional(),
    id: z.string().nullish(),
    type: z.string().nullish(),
    function: z.looseObject({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
  }),
)

type RawCall = z.infer<typeof toolCallsSchema>[number]

/** The tool calls of one choice. */
class ChoiceCalls {
  count = 0
  /** Our index by id, for calls with an id. */
  readonly byId = new Map<string, number>()
  /** The upstream's index → our index of the latest call under it. */
  readonly aliases = new Map<number, number>()
}

/**
 * Distinguishes the tool calls of each choice. OpenAI numbers them; other servers omit the index, use one index for all
 * calls, repeat a call's id and name with every piece, or invent an id for each piece.
 */
export class ToolCallReader {
  readonly #choices = new Map<number, ChoiceCalls>()
  #count = 0

  /** @throws ProviderError `upstream_invalid_response` */
  read(choice: number, value: unknown): ToolCallDelta[] {
    if (value === undefined || value === null) return []
    const parsed = toolCallsSchema.safeParse(value)
    if (!parsed.success) throw sentInvalid('malformed tool calls', parsed.error)
    let calls = this.#choices.get(choice)
    if (!calls) this.#choices.set(choice, (calls = new ChoiceCalls()))
    const deltas: ToolCallDelta[] = []
    for (const call of parsed.data) deltas.push(this.#readCall(calls, call))
    return deltas
  }

  #readCall(calls: ChoiceCalls, { index: theirs, id, type: _, function: called, ...call }: RawCall): ToolCallDelta {
    const name = called?.name
    const latest = theirs === undefined ? calls.count - 1 : calls.aliases.get(theirs)
    const known = id && name ? calls.byId.get(id) : latest
    const begins = latest === undefined || latest < 0 || known === undefined
    const index = begins ? this.#begin(calls, id) : known
    if (theirs !== undefined) calls.aliases.set(theirs, index)
    return {
      index,
      ...(begins && id ? { id } : {}),
      ...(begins ? { type: 'function' as const } : {}),
      function: { ...(begins && name ? { name } : {}), arguments: called?.arguments ?? '' },
      ...(Object.keys(call).length > 0 ? { carried: { openai: { call } } } : {}),
    }
  }

  #begin(calls: ChoiceCalls, id: string | null | undefined): number {
    this.#count += 1
    if (this.#count > MAX_TOOL_CALLS) throw sentOverLimit(`more than ${MAX_TOOL_CALLS} tool calls`)
    const index = calls.count
    calls.count += 1
    if (id && !calls.byId.has(id)) calls.byId.set(id, index)
    return index
  }
}
