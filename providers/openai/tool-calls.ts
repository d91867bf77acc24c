import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { followJson, JSON_START, type JsonProgress } from '../../src/wires/json-progress.ts'
import type { Fields } from '../../src/json.ts'
import { MAX_TOOL_CALLS } from '../received-fields.ts'
import type { ToolCallDelta } from '../provider.ts'
import { sentInvalid, sentOverLimit } from '../upstream-errors.ts'

/** Some servers number calls with `null` or with a text. */
const index = z.union([
  z.number().int(),
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number),
])

const toolCallsSchema = z.array(
  z.looseObject({
    index: index.nullish(),
    id: z.string().nullish(),
    type: z.string().nullish(),
    function: z.looseObject({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
    custom: z.looseObject({ name: z.string().nullish(), input: z.string().nullish() }).nullish(),
  }),
)

const functionCallSchema = z.looseObject({ name: z.string().nullish(), arguments: z.string().nullish() })

interface Piece {
  index?: number | undefined
  id: string | undefined
  name: string | undefined
  text: string
  isCustom: boolean
  more: Fields
}

interface Call {
  /** Ours: calls are numbered in their order. */
  index: number
  id: string | undefined
  name: string | undefined
  isCustom: boolean
  progress: JsonProgress
  /** The start of the call, until both its id and its name are known; undefined once it is passed on. */
  held: { text: string; more: Fields } | undefined
}

/** The tool calls of one choice. */
class ChoiceCalls {
  readonly all: Call[] = []
  /** For calls with an id. */
  readonly byId = new Map<string, Call>()
  /** The latest call under each index of the upstream. */
  readonly byIndex = new Map<number, Call>()
  legacy: Call | undefined
  /** Ids that were passed on. */
  readonly ids = new Set<string>()
}

/**
 * Distinguishes the tool calls of each choice. OpenAI numbers them; other servers omit the index, use one index for all
 * calls, repeat a call's id and name with every piece, invent an id for each piece, or send no id at all.
 *
 * A call is passed on once its id and its name are known. A call that stays without an id gets one from us when it is
 * complete: every other protocol, and the next turn, need it.
 */
export class ToolCallReader {
  readonly #choices = new Map<number, ChoiceCalls>()
  #count = 0

  /** @throws ProviderError `upstream_invalid_response` */
  read(choice: number, value: unknown): ToolCallDelta[] {
    if (value === undefined || value === null) return []
    const parsed = toolCallsSchema.safeParse(value)
    if (!parsed.success) throw sentInvalid('malformed tool calls', parsed.error)
    const calls = this.#callsOf(choice)
    const deltas: ToolCallDelta[] = []
    /** Entries of one list without an index are different calls. */
    const listed = new Set<Call>()
    for (const raw of parsed.data) {
      const piece = toPiece(raw)
      if (saysNothing(piece) && calls.all.length === 0) continue
      const known = findCall(calls, piece, listed)
      if (!known) for (const call of calls.all) tell(call, calls.ids, deltas)
      const call = known ?? this.#begin(calls, piece)
      listed.add(call)
      if (piece.index !== undefined) calls.byIndex.set(piece.index, call)
      add(call, calls.ids, piece, deltas)
      if (call.id !== undefined && !(known && calls.byId.has(call.id))) calls.byId.set(call.id, call)
    }
    return deltas
  }

  /** Reads `function_call`, the only call of a choice in the API before tools. */
  readLegacy(choice: number, value: unknown): ToolCallDelta[] {
    if (value === undefined || value === null) return []
    const parsed = functionCallSchema.safeParse(value)
    if (!parsed.success) throw sentInvalid('a malformed function call', parsed.error)
    const { name, arguments: text } = parsed.data
    const calls = this.#callsOf(choice)
    const piece = { id: undefined, name: name || undefined, text: text ?? '', isCustom: false, more: {} }
    // Some servers send an empty one with every answer.
    if (!calls.legacy && saysNothing(piece)) return []
    const call = (calls.legacy ??= this.#begin(calls, piece))
    const deltas: ToolCallDelta[] = []
    add(call, calls.ids, piece, deltas)
    if (call.name !== undefined) tell(call, calls.ids, deltas)
    return deltas.map((delta) => ({ ...delta, carried: { openai: { legacy: true } } }))
  }

  /**
   * The starts that were still held at the end of the stream, by choice.
   * @throws ProviderError `upstream_invalid_response` when a call never got a name
   */
  end(): [choice: number, calls: ToolCallDelta[]][] {
    return [...this.#choices].flatMap(([choice, calls]) => {
      const deltas: ToolCallDelta[] = []
      for (const call of calls.all) {
        if (call.name === undefined) throw sentInvalid('a tool call without a name')
        tell(call, calls.ids, deltas)
      }
      return deltas.length > 0 ? [[choice, deltas]] : []
    })
  }

  #callsOf(choice: number): ChoiceCalls {
    let calls = this.#choices.get(choice)
    if (!calls) this.#choices.set(choice, (calls = new ChoiceCalls()))
    return calls
  }

  #begin(calls: ChoiceCalls, { isCustom }: Piece): Call {
    this.#count += 1
    if (this.#count > MAX_TOOL_CALLS) throw sentOverLimit(`more than ${MAX_TOOL_CALLS} tool calls`)
    const call: Call = {
      index: calls.all.length,
      id: undefined,
      name: undefined,
      isCustom,
      progress: JSON_START,
      held: { text: '', more: {} },
    }
    calls.all.push(call)
    return call
  }
}

function toPiece({
  index: at,
  id,
  type,
  function: called,
  custom,
  ...more
}: z.infer<typeof toolCallsSchema>[number]): Piece {
  const isCustom = type === 'custom' || (!called && Boolean(custom))
  const { name: _name, arguments: _arguments, ...ofFunction } = called ?? {}
  return {
    index: typeof at === 'number' && at >= 0 ? at : undefined,
    id: id || undefined,
    name: (isCustom ? custom?.name : called?.name) || undefined,
    text: (isCustom ? custom?.input : called?.arguments) ?? '',
    isCustom,
    more: Object.keys(ofFunction).length > 0 ? { ...more, function: ofFunction } : more,
  }
}

function saysNothing({ id, name, text, more }: Piece): boolean {
  return id === undefined && name === undefined && text === '' && Object.keys(more).length === 0
}

/** The call that a piece continues; undefined when the piece begins a call. */
function findCall(
  calls: ChoiceCalls,
  { index: at, id, name, text }: Piece,
  listed: ReadonlySet<Call>,
): Call | undefined {
  const last = calls.all.at(-1)
  // Writer numbers the pieces of a call, too: a piece that names nothing begins no call.
  const latest =
    (at === undefined ? last : calls.byIndex.get(at)) ?? (id === undefined && name === undefined ? last : undefined)
  if (!latest) return undefined
  const named = id === undefined ? undefined : calls.byId.get(id)
  // An id without a name may be made up for the piece, or come late.
  if (name === undefined) return at === undefined ? (named ?? latest) : latest
  const known = named ?? latest
  if (at === undefined && listed.has(known)) return undefined
  // The name comes late.
  if (known.name === undefined) return known
  if (known.name !== name) return undefined
  const { complete } = known.progress
  const startsJson = /^\s*[{[]/.test(text)
  // Name and id are repeated with each piece, until the call is complete and arguments start anew.
  if (id === undefined || named || known.id === undefined) return complete && startsJson ? undefined : known
  // The id is made up for each piece. Otherwise another id is another call.
  return at !== undefined && text !== '' && !startsJson && !complete ? known : undefined
}

/** Passes a piece on, or holds it while the call's id or name is unknown. */
function add(call: Call, ids: Set<string>, { id, name, text, more }: Piece, deltas: ToolCallDelta[]): void {
  call.id ??= id
  call.name ??= name
  if (!call.isCustom && !call.progress.complete) call.progress = followJson(call.progress, text)
  const { held } = call
  if (!held) {
    deltas.push({ ...textOf(call, text), ...carry(more) })
    return
  }
  held.text += text
  Object.assign(held.more, more)
  if (call.name !== undefined && (call.id !== undefined || call.progress.complete)) tell(call, ids, deltas)
}

/** Passes on the start of a call, with an id of ours if it has none. */
function tell(call: Call, ids: Set<string>, deltas: ToolCallDelta[]): void {
  const { held, isCustom, name = '' } = call
  if (!held) return
  call.held = undefined
  call.id ??= `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`
  // A result names its call by the id.
  let id = call.id
  for (let i = 2; ids.has(id); i++) id = `${call.id}_${i}`
  ids.add(id)
  const { index: at } = call
  const called = isCustom ? { custom: { name, input: held.text } } : { function: { name, arguments: held.text } }
  deltas.push({ index: at, id, type: isCustom ? 'custom' : 'function', ...called, ...carry(held.more) })
}

function textOf({ index: at, isCustom }: Call, text: string): ToolCallDelta {
  return isCustom ? { index: at, custom: { input: text } } : { index: at, function: { arguments: text } }
}

function carry(call: Fields): Pick<ToolCallDelta, 'carried'> {
  return Object.keys(call).length > 0 ? { carried: { openai: { call } } } : {}
}
