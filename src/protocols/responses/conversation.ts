// What came before a request: the conversation of a previous response, and the items that it refers to.

import { invalidField, SluiceError } from '../../errors.ts'
import { isRecord, parseJson, recordOrEmpty } from '../../json.ts'
import type { EarlierStreams } from '../protocol.ts'
import { referenceOf, toRawItems } from './input.ts'
import { readItemId } from './items.ts'
import { toStreamId } from './response.ts'

/** Items as they were sent. */
export interface Conversation {
  before: unknown[]
  /** Those of the request itself. */
  own: unknown[]
  all: unknown[]
}

/** Responses whose items a request may refer to: each is looked up. */
const MAX_REFERRED = 1000

/** Ids of the streams that a body refers to, whatever else may be wrong with it. */
export function refersTo(body: unknown): string[] {
  const { input, previous_response_id: previous } = recordOrEmpty(body)
  const ids = new Set<string>()
  for (const item of toRawItems(input) ?? []) {
    const reference = referenceOf(item)
    if (reference !== undefined && ids.size < MAX_REFERRED) ids.add(streamOfItem(reference))
  }
  if (typeof previous === 'string') ids.add(toStreamId(previous) ?? '')
  ids.delete('')
  return [...ids]
}

function streamOfItem(id: string): string {
  const { key } = readItemId(id) ?? {}
  return key === undefined ? '' : `str_${key}`
}

/** @throws SluiceError with OpenAI's own error when what the request continues is no longer kept */
export function expandInput(
  { input, previous_response_id: previous }: { input?: unknown; previous_response_id?: string | undefined },
  earlier: EarlierStreams,
): Conversation {
  const before = previous === undefined ? [] : conversationOf(previous, earlier)
  const references = new References(earlier, before)
  const own = (toRawItems(input) ?? wrongInput(input)).map((item, i) => {
    const reference = referenceOf(item)
    return reference === undefined ? item : references.resolve(reference, i)
  })
  return { before, own, all: [...before, ...own] }
}

function wrongInput(input: unknown): unknown[] {
  // A conversation may go on with nothing new.
  if (input === undefined) return []
  throw new SluiceError('invalid_request', 'input: expected a string or an array of items', {
    faults: [{ path: 'input', message: 'expected a string or an array of items' }],
  })
}

function conversationOf(responseId: string, earlier: EarlierStreams): unknown[] {
  const { kept, snapshot } = earlier.get(toStreamId(responseId) ?? '') ?? {}
  if (kept === undefined)
    throw missing(
      'previous_response_id',
      `Previous response with id '${responseId.slice(0, 100)}' not found.`,
      'previous_response_not_found',
    )
  return [...parseItems(kept), ...outputOf(snapshot)]
}

export function parseItems(kept: string): unknown[] {
  try {
    const items = parseJson(kept)
    return Array.isArray(items) ? items : []
  } catch {
    throw invalidField(
      'invalid_request',
      'previous_response_id',
      'the conversation has grown too large to be continued',
    )
  }
}

function outputOf(snapshot: unknown): unknown[] {
  const { output } = recordOrEmpty(snapshot)
  return Array.isArray(output) ? output : []
}

/**
 * Resolves the references of one request. An item is inserted once, as at OpenAI: the memory of a stream is charged
 * once, and thirty bytes could otherwise be replaced by its whole answer again and again.
 */
class References {
  readonly #earlier: EarlierStreams
  /** The items of each stream, by their ids. */
  readonly #items = new Map<string, Map<unknown, unknown>>()
  readonly #inserted: Set<unknown>

  /** @param before items that the conversation has already */
  constructor(earlier: EarlierStreams, before: readonly unknown[]) {
    this.#earlier = earlier
    this.#inserted = new Set(before.map((item) => recordOrEmpty(item).id))
  }

  resolve(id: string, at: number): unknown {
    const path = `input[${at}].id`
    if (this.#inserted.has(id))
      throw invalidField('invalid_request', path, 'duplicate item: each item may be referred to once')
    const item = this.#itemsOf(streamOfItem(id), path).get(id)
    if (item === undefined) throw missing(path, `Item with id '${id.slice(0, 100)}' not found.`, 'item_not_found')
    this.#inserted.add(id)
    return item
  }

  #itemsOf(stream: string, path: string): ReadonlyMap<unknown, unknown> {
    const known = this.#items.get(stream)
    if (known) return known
    if (this.#items.size === MAX_REFERRED)
      throw invalidField('invalid_request', path, `refers to more than ${MAX_REFERRED} responses`)
    const output = outputOf(this.#earlier.get(stream)?.snapshot).filter(isRecord)
    const items = new Map(output.map((item) => [item.id, item]))
    this.#items.set(stream, items)
    return items
  }
}

function missing(path: string, message: string, code: string): SluiceError {
  return new SluiceError('invalid_request', message, {
    faults: [{ path, message: 'is not, or no longer, kept' }],
    carried: { openai: { error: { message, type: 'invalid_request_error', param: path, code } } },
  })
}
