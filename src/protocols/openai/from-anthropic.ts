import { isRecord, type Fields } from '../../json.ts'
import type { Delta } from '../../stream/events.ts'
import { NO_BLOCKS, toBlockEvents, type BlockEvent, type BlockState } from '../../wires/block-events.ts'
import { toAnnotation, toEncryptedDetail, toSignedDetail } from '../../wires/citations.ts'

/** What the translation of an Anthropic answer depends on. Immutable. */
export interface AnthropicNotes {
  readonly blocks: BlockState
  /** Length of the content so far, and where its last text block starts. In UTF-16 units. */
  readonly length: number
  readonly textStart: number
  /** Citations of the last text block, which may still grow. */
  readonly cited: List | undefined
  /** For `annotations`, of the texts before. */
  readonly annotations: List | undefined
  /** The last block of thoughts: its signature comes after them. */
  readonly thoughts: string
  /** For `reasoning_details`. */
  readonly details: List | undefined
}

/** A list that grows without a copy. The newest item comes first. */
interface List {
  readonly item: Fields
  readonly count: number
  readonly before: List | undefined
}

function append(before: List | undefined, item: Fields): List {
  return { item, count: (before?.count ?? 0) + 1, before }
}

function toArray(list: List | undefined): Fields[] {
  const items: Fields[] = []
  for (let each = list; each; each = each.before) items.push(each.item)
  return items.toReversed()
}

export const NO_NOTES: AnthropicNotes = {
  blocks: NO_BLOCKS,
  length: 0,
  textStart: 0,
  cited: undefined,
  annotations: undefined,
  thoughts: '',
  details: undefined,
}

/** Whether `content` only makes the open text longer. */
export function continuesText({ blocks }: AnthropicNotes): boolean {
  return blocks.last === 'text'
}

export function withText(notes: AnthropicNotes, content: string): AnthropicNotes {
  return { ...notes, length: notes.length + content.length }
}

/** Notes what Anthropic's blocks say beside their texts. */
export function noteDelta(delta: Delta, before: AnthropicNotes): AnthropicNotes {
  const { events, state: blocks } = toBlockEvents(delta, before.blocks)
  let notes: AnthropicNotes = { ...before, blocks }
  for (const event of events)
    notes = event.type === 'start' ? startBlock(event.block, endText(notes)) : noteBlockDelta(event, notes)
  return notes
}

/**
 * The fields for the last chunk: citations of web pages are `annotations`, signatures and redacted thoughts are
 * `reasoning_details` in OpenRouter's form. Both at once: of a field that it does not know, openai-node keeps the last
 * piece, and an incomplete set of signed thoughts is worse than none.
 */
export function fieldsOf(notes: AnthropicNotes): Fields {
  const { annotations, details } = endText(notes)
  return {
    ...(annotations && { annotations: toArray(annotations) }),
    ...(details && { reasoning_details: toArray(details) }),
  }
}

/** The annotations that `notes` has and `before` had not: those of texts that have ended since. */
export function annotationsSince(before: AnthropicNotes, { annotations }: AnthropicNotes): Fields[] {
  const added: Fields[] = []
  const known = before.annotations?.count ?? 0
  for (let each = annotations; each && each.count > known; each = each.before) added.push(each.item)
  return added.toReversed()
}

/** Notes that the text has ended: its citations are of all of it. */
export function endText(notes: AnthropicNotes): AnthropicNotes {
  const { cited, textStart, length } = notes
  let { annotations } = notes
  for (const citation of toArray(cited)) {
    const annotation = toAnnotation(citation, textStart, length)
    if (annotation) annotations = append(annotations, annotation)
  }
  return { ...notes, cited: undefined, annotations }
}

function startBlock({ type, data }: Fields, notes: AnthropicNotes): AnthropicNotes {
  if (type === 'text') return { ...notes, textStart: notes.length }
  if (type === 'thinking') return { ...notes, thoughts: '' }
  if (type !== 'redacted_thinking' || typeof data !== 'string') return notes
  return { ...notes, details: append(notes.details, toEncryptedDetail(data, notes.details?.count ?? 0)) }
}

function noteBlockDelta({ delta }: BlockEvent & { type: 'delta' }, notes: AnthropicNotes): AnthropicNotes {
  const { type, text, thinking, signature, citation } = delta
  if (type === 'text_delta' && typeof text === 'string') return withText(notes, text)
  if (type === 'thinking_delta' && typeof thinking === 'string')
    return { ...notes, thoughts: notes.thoughts + thinking }
  if (type === 'citations_delta' && isRecord(citation)) return { ...notes, cited: append(notes.cited, citation) }
  if (type !== 'signature_delta' || typeof signature !== 'string' || signature === '') return notes
  const detail = toSignedDetail(notes.thoughts, signature, notes.details?.count ?? 0)
  return { ...notes, thoughts: '', details: append(notes.details, detail) }
}
