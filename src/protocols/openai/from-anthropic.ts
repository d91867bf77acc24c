import type { Fields } from '../../json.ts'
import type { Delta } from '../../stream/events.ts'
import { NO_BLOCKS, toBlockEvents, type BlockEvent, type BlockState } from '../../wires/block-events.ts'
import { toAnnotation, toEncryptedDetail, toSignedDetail } from '../../wires/citations.ts'

/** What the translation of an Anthropic answer depends on. Immutable. */
export interface AnthropicNotes {
  readonly blocks: BlockState
  /** Length of the content so far, and where its last text block starts. In UTF-16 units. */
  readonly length: number
  readonly textStart: number
  /** Citations of the last text block, which may still grow. The newest comes first. */
  readonly cited: Cited | undefined
  /** The last block of thoughts: its signature comes after them. */
  readonly thoughts: string
  readonly details: number
}

interface Cited {
  readonly citation: Fields
  readonly before: Cited | undefined
}

export const NO_NOTES: AnthropicNotes = {
  blocks: NO_BLOCKS,
  length: 0,
  textStart: 0,
  cited: undefined,
  thoughts: '',
  details: 0,
}

/** Whether `content` only makes the open text longer. */
export function continuesText({ blocks }: AnthropicNotes): boolean {
  return blocks.last === 'text'
}

export function withText(notes: AnthropicNotes, content: string): AnthropicNotes {
  return { ...notes, length: notes.length + content.length }
}

/**
 * Fields of a chunk's delta that say what Anthropic's blocks say beside their texts: citations of web pages are
 * `annotations`, signatures and redacted thoughts are `reasoning_details` in OpenRouter's form.
 */
export function translateDelta(delta: Delta, before: AnthropicNotes): { fields: Fields; notes: AnthropicNotes } {
  const { events, state: blocks } = toBlockEvents(delta, before.blocks)
  const annotations: Fields[] = []
  const details: Fields[] = []
  let notes: AnthropicNotes = { ...before, blocks }
  for (const event of events) {
    if (event.type === 'start') {
      annotations.push(...annotationsOf(notes))
      notes = startBlock(event.block, notes, details)
    } else notes = readDelta(event, notes, details)
  }
  return {
    fields: {
      ...(annotations.length > 0 && { annotations }),
      ...(details.length > 0 && { reasoning_details: details }),
    },
    notes,
  }
}

/** The annotations that have waited for the end of the last text. */
export function annotationsOf({ cited, textStart, length }: AnthropicNotes): Fields[] {
  const citations: Fields[] = []
  for (let each = cited; each; each = each.before) citations.push(each.citation)
  return citations.toReversed().flatMap((citation): Fields[] => {
    const annotation = toAnnotation(citation, textStart, length)
    return annotation ? [annotation] : []
  })
}

function startBlock({ type, data }: Fields, notes: AnthropicNotes, details: Fields[]): AnthropicNotes {
  const ended = { ...notes, cited: undefined }
  if (type === 'text') return { ...ended, textStart: notes.length }
  if (type === 'thinking') return { ...ended, thoughts: '' }
  if (type !== 'redacted_thinking' || typeof data !== 'string') return ended
  details.push(toEncryptedDetail(data, notes.details))
  return { ...ended, details: notes.details + 1 }
}

function readDelta(
  { delta }: BlockEvent & { type: 'delta' },
  notes: AnthropicNotes,
  details: Fields[],
): AnthropicNotes {
  const { type, text, thinking, signature, citation } = delta
  if (type === 'text_delta' && typeof text === 'string') return withText(notes, text)
  if (type === 'thinking_delta' && typeof thinking === 'string')
    return { ...notes, thoughts: notes.thoughts + thinking }
  if (type === 'citations_delta' && typeof citation === 'object')
    return { ...notes, cited: { citation: { ...citation }, before: notes.cited } }
  if (type !== 'signature_delta' || typeof signature !== 'string' || signature === '') return notes
  details.push(toSignedDetail(notes.thoughts, signature, notes.details))
  return { ...notes, thoughts: '', details: notes.details + 1 }
}
