import { plainField, toDelta, type PlainField, type StreamEvent } from './events.ts'
import type { Piece } from './piece.ts'

/** Adjacent plain-text deltas of one field: their joined text, and their lengths, each stored as one UTF-16 unit. */
interface Packed {
  readonly type: 'packed'
  readonly field: PlainField
  readonly text: string
  readonly lengths: string
}

/** An event stored as JSON: small values stored as objects take up to twenty times as much memory. */
interface Written {
  readonly type: 'written'
  readonly json: string
}

/** Texts per pack: enough to share the overhead of a string, few enough to scan. */
const PACK = 64

/** Largest length that one UTF-16 unit can store. */
const MAX_LENGTH = 0xffff

/** Adjacent events read as one. */
export interface MergedRun {
  readonly event: StreamEvent
  /** How many events were merged. */
  readonly count: number
  /** Its share of a batch: the characters of a text; for any other event the `size` given to `push`. */
  readonly size: number
}

/**
 * The events of a log, in order; append-only.
 *
 * Nearly all are small texts, so these are packed: a token takes about two bytes beside its text, where an object takes
 * a hundred and a string thirty. Packing also shortens garbage collection pauses: the collector traverses every live
 * object, and a gateway keeps millions of tokens.
 */
export class EventList {
  readonly #pieces: (StreamEvent | Packed | Written)[] = []
  /** First index, then size, of each piece. One array for both: most logs are short, and an array has overhead. */
  readonly #places: number[] = []
  /** The last texts, all of `#field`, until there are enough to pack. */
  #open: string[] = []
  #field: PlainField = 'content'
  #length = 0

  get length(): number {
    return this.#length
  }

  /**
   * @param size the event's share of a batch; ignored for a plain text
   * @param json if given, stored instead of the event, and parsed on each read
   */
  push(event: StreamEvent, size = 0, json?: string): void {
    const field = plainField(event)
    const text = field && event.type === 'delta' ? event[field] : undefined
    if (field && text !== undefined && text.length <= MAX_LENGTH) {
      if (field !== this.#field) this.#pack()
      this.#field = field
      this.#open.push(text)
      this.#length += 1
      if (this.#open.length === PACK) this.#pack()
    } else {
      this.#pack()
      this.#add(json === undefined ? event : { type: 'written', json }, this.#length, size)
      this.#length += 1
    }
  }

  /**
   * The event at `index`, merged with the texts of the same field after it, up to `end` and until there are `length`
   * characters. The next run may continue the same text.
   */
  read(index: number, end: number, length: number): MergedRun {
    const openAt = this.#length - this.#open.length
    if (index >= openAt) {
      let text = this.#open[index - openAt] ?? ''
      let next = index + 1
      for (; next < end && text.length < length; next++) text += this.#open[next - openAt] ?? ''
      return { event: toDelta(this.#field, text), count: next - index, size: text.length }
    }
    const position = this.#find(index)
    const piece = this.#pieces[position]
    if (piece === undefined) throw new RangeError('read beyond the end of the log')
    if (piece.type !== 'packed') {
      const event: StreamEvent = piece.type === 'written' ? JSON.parse(piece.json) : piece
      return { event, count: 1, size: this.#places[2 * position + 1] ?? 0 }
    }
    const { field, text, lengths } = piece
    const skipped = index - (this.#places[2 * position] ?? 0)
    const most = Math.min(end - index, lengths.length - skipped)
    let from = 0
    for (let i = 0; i < skipped; i++) from += lengths.charCodeAt(i)
    let to = from + lengths.charCodeAt(skipped)
    let count = 1
    for (; count < most && to - from < length; count++) to += lengths.charCodeAt(skipped + count)
    return { event: toDelta(field, text.slice(from, to)), count, size: to - from }
  }

  /**
   * The pieces that hold the events from `index` on, up to the present end. A piece that `index` cuts in two is yielded
   * from there.
   */
  *pieces(index: number): Generator<Piece, void, void> {
    const end = this.#length
    const openAt = end - this.#open.length
    // Copied before the first `yield`: later events may cause these texts to be packed.
    const open = this.#open.slice(Math.max(0, index - openAt))
    const field = this.#field
    for (let position = this.#find(index); index < openAt; position++) {
      const start = this.#places[2 * position] ?? 0
      const piece = this.#pieces[position]
      if (piece === undefined) throw new RangeError('read beyond the end of the log')
      yield toPiece(piece, start, index - start)
      index = this.#places[2 * position + 2] ?? openAt
    }
    if (open.length === 0) return
    yield { first: index + 1, field, text: open.join(''), lengths: open.map((text) => text.length) }
  }

  /** Ends the current piece: the next text starts a new one. */
  split(): void {
    this.#pack()
  }

  #pack(): void {
    const texts = this.#open
    if (texts.length === 0) return
    const lengths = String.fromCharCode(...texts.map((text) => text.length))
    const text = texts.join('')
    this.#add({ type: 'packed', field: this.#field, text, lengths }, this.#length - texts.length, text.length)
    this.#open = []
  }

  #add(piece: StreamEvent | Packed | Written, start: number, size: number): void {
    this.#pieces.push(piece)
    this.#places.push(start, size)
  }

  /** The piece that holds the event at `index`. */
  #find(index: number): number {
    let low = 0
    let high = this.#pieces.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#places[2 * middle] ?? 0) <= index) low = middle
      else high = middle - 1
    }
    return low
  }
}

/** A stored piece without its first `skipped` events. */
function toPiece(piece: StreamEvent | Packed | Written, start: number, skipped: number): Piece {
  const first = start + skipped + 1
  switch (piece.type) {
    case 'written':
      return { first, event: JSON.parse(piece.json) }
    case 'packed': {
      const { field, text } = piece
      const lengths = Array.from({ length: piece.lengths.length }, (_, i) => piece.lengths.charCodeAt(i))
      const from = lengths.splice(0, skipped).reduce((sum, length) => sum + length, 0)
      return { first, field, text: text.slice(from), lengths }
    }
    case 'delta':
    case 'done':
      return { first, event: piece }
  }
}
