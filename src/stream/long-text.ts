import type { Delta } from './events.ts'

/**
 * The longest text of one event, in UTF-16 units. A frame holds a batch (16,384) and at most one more event, so its
 * line stays below 64 KiB of UTF-8, the longest line that several clients read (r3labs/sse, go-sse).
 */
export const MAX_TEXT = 4096

/** Splits a text into deltas of at most `MAX_TEXT`, between characters. Other fields of the delta come first. */
export function splitLongText(delta: Delta): Delta[] {
  const { content, reasoning, refusal } = delta
  const texts = [content, reasoning, refusal].filter((text) => text !== undefined)
  const [text] = texts
  // Texts of different fields keep their order only within one delta.
  if (texts.length !== 1 || text === undefined || text.length <= MAX_TEXT) return [delta]
  const field = content === undefined ? (reasoning === undefined ? 'refusal' : 'reasoning') : 'content'
  const deltas: Delta[] = []
  for (let from = 0; from < text.length;) {
    const to = endOfCharacter(text, from + MAX_TEXT)
    const part = text.slice(from, to)
    if (from === 0) deltas.push({ ...delta, [field]: part })
    else deltas.push({ type: 'delta', ...(delta.index !== undefined && { index: delta.index }), [field]: part })
    from = to
  }
  return deltas
}

/** Whether `splitLongText` is needed. Runs for every delta, so it only compares lengths. */
export function isLongText({ content = '', reasoning = '', refusal = '' }: Delta): boolean {
  return content.length > MAX_TEXT || reasoning.length > MAX_TEXT || refusal.length > MAX_TEXT
}

/** `at`, or one unit before it when a surrogate pair stands there. */
function endOfCharacter(text: string, at: number): number {
  const unit = text.charCodeAt(at)
  return unit >= 0xdc00 && unit <= 0xdfff ? at - 1 : at
}
