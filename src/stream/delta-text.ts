// The text of a delta, as it is stored: never half a character, and never too long for a frame.

import type { Delta, ToolCallDelta } from './events.ts'

const TEXT_FIELDS = ['content', 'reasoning', 'refusal'] as const

/** Halves of different texts at a time; more are not held. */
const MAX_HELD = 256

/**
 * Keeps surrogate pairs in one delta. A provider that cuts its text by UTF-16 units may cut an emoji in two. Half of it
 * is not a valid character: Python cannot encode it, and Rust refuses the whole frame. So a first half at the end of a
 * text is held back, and put before the next text of the same field.
 *
 * Most streams never need this; the check per delta looks only at the last unit.
 */
export class WholeCharacters {
  /** By choice and field, or choice and call: the half, and the delta that would say it alone. */
  #halves: Map<string, { half: string; delta: Delta }> | undefined

  /** The delta with whole characters; undefined when nothing of it is left. */
  take(delta: Delta): Delta | undefined {
    if (!this.#halves?.size && !endsInHalf(delta)) return delta
    const { index = 0 } = delta
    const whole = { ...delta }
    for (const field of TEXT_FIELDS) {
      const text = delta[field]
      if (text !== undefined)
        whole[field] = this.#hold(`${index} ${field}`, text, (half) => ({ ...choiceOf(delta), [field]: half }))
    }
    if (delta.tool_calls) whole.tool_calls = delta.tool_calls.map((call) => this.#takeCall(delta, call))
    return isEmpty(whole) && !isEmpty(delta) ? undefined : whole
  }

  /** Halves whose other half has not come: they are sent as they are when the stream ends. */
  rest(): Delta[] {
    const rest = [...(this.#halves?.values() ?? [])].map(({ delta }) => delta)
    this.#halves = undefined
    return rest
  }

  #takeCall(delta: Delta, call: ToolCallDelta): ToolCallDelta {
    const text = call.function?.arguments
    if (text === undefined) return call
    const toDelta = (half: string): Delta => ({
      ...choiceOf(delta),
      tool_calls: [{ index: call.index, function: { arguments: half } }],
    })
    const whole = this.#hold(`${delta.index ?? 0} call ${call.index}`, text, toDelta)
    return { ...call, function: { ...call.function, arguments: whole } }
  }

  #hold(key: string, text: string, toDelta: (half: string) => Delta): string {
    const all = (this.#halves?.get(key)?.half ?? '') + text
    this.#halves?.delete(key)
    const held = (this.#halves ??= new Map())
    if (!isFirstHalf(all) || held.size === MAX_HELD) return all
    const half = all.slice(-1)
    held.set(key, { half, delta: toDelta(half) })
    return all.slice(0, -1)
  }
}

/** Whether a delta needs this class: most streams have none that does. */
export function endsInHalf({ content, reasoning, refusal, tool_calls }: Delta): boolean {
  return (
    isFirstHalf(content) ||
    isFirstHalf(reasoning) ||
    isFirstHalf(refusal) ||
    (tool_calls !== undefined && tool_calls.some((call) => isFirstHalf(call.function?.arguments)))
  )
}

/** Whether a text ends in the first half of a surrogate pair. */
function isFirstHalf(text: string | undefined): boolean {
  if (text === undefined) return false
  const unit = text.charCodeAt(text.length - 1)
  return unit >= 0xd800 && unit <= 0xdbff
}

function choiceOf({ index }: Delta): Delta {
  return index === undefined ? { type: 'delta' } : { type: 'delta', index }
}

/** Whether a delta has nothing but empty texts. */
function isEmpty({ type: _type, index: _index, content, reasoning, refusal, tool_calls, ...rest }: Delta): boolean {
  return (
    !content &&
    !reasoning &&
    !refusal &&
    Object.keys(rest).length === 0 &&
    (tool_calls ?? []).every(
      ({ id, type, function: called, carried }) =>
        id === undefined && type === undefined && carried === undefined && !called?.name && !called?.arguments,
    )
  )
}

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
