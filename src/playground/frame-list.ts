import { describeRow } from './describe-row.ts'
import { create } from './dom.ts'
import type { Row } from './reader-record.ts'
import type { Reader } from './reader.ts'
import { ScrollFollower } from './scroll-follower.ts'
import { formatSeconds } from './wording.ts'

/** More lines than anybody reads would make the page slow. */
const LONGEST = 500
/** Frames shown of one line. */
const MOST_FRAMES = 200

/** What readers went through, line by line, the newest last; each line opens to the frames as they were sent. */
export class FrameList {
  readonly #list: HTMLOListElement
  readonly #follower: ScrollFollower
  /** How many rows of each reader are listed, and the last one. */
  readonly #listed = new Map<Reader, { count: number; last: Line }>()

  constructor(list: HTMLOListElement) {
    this.#list = list
    this.#follower = new ScrollFollower(list)
  }

  clear(): void {
    this.#listed.clear()
    this.#list.replaceChildren()
    this.#follower.follow()
  }

  /** `origin`: when time began. Only the last row of a record changes, and others come after it. */
  show(readers: readonly Reader[], origin: number): void {
    readers.forEach((reader, index) => this.#showReader(reader, index === 0 ? 'first' : 'second', origin))
    while (this.#list.childElementCount > LONGEST) this.#list.firstElementChild?.remove()
    this.#follower.update()
  }

  #showReader(reader: Reader, which: string, origin: number): void {
    const { rows } = reader.record
    const listed = this.#listed.get(reader)
    const latest = listed && rows[listed.count - 1]
    if (latest) listed.last.show(latest)
    for (const row of rows.slice(Math.max(listed?.count ?? 0, rows.length - LONGEST))) {
      const last = new Line(reader, which, origin)
      last.show(row)
      this.#list.append(last.element)
      this.#listed.set(reader, { count: rows.length, last })
    }
  }
}

/** A row in words, and its frames. */
class Line {
  readonly element = create('li')
  readonly #reader: Reader
  readonly #which: string
  readonly #origin: number
  readonly #opener = create('button', 'opener')
  readonly #raw = create('pre')
  #row: Row | undefined
  #shown = ''

  constructor(reader: Reader, which: string, origin: number) {
    this.#reader = reader
    this.#which = which
    this.#origin = origin
    this.#opener.type = 'button'
    this.#opener.ariaExpanded = 'false'
    this.#raw.hidden = true
    this.#raw.tabIndex = 0
    this.#opener.addEventListener('click', () => {
      this.#raw.hidden = !this.#raw.hidden
      this.#opener.ariaExpanded = String(!this.#raw.hidden)
      this.#showRaw()
    })
  }

  show(row: Row): void {
    const { label, text, ids } = describeRow(row)
    const shown = `${label}|${text}|${ids}`
    if (this.#shown === shown) return
    this.#row = row
    const isNew = this.#shown === ''
    this.#shown = shown
    this.element.className = `${label} ${this.#which}`
    const cells = [
      create('span', 'time', formatSeconds(row.at - this.#origin)),
      create('span', 'label', label),
      create('span', 'text', this.#which === 'second' ? `2nd reader: ${text}` : text),
      create('span', 'ids', ids),
    ]
    if (idsOf(row)) {
      this.#opener.replaceChildren(...cells)
      if (isNew) this.element.replaceChildren(this.#opener, this.#raw)
    } else this.element.replaceChildren(create('div', 'opener', ...cells))
    this.#showRaw()
  }

  #showRaw(): void {
    const ids = this.#row && idsOf(this.#row)
    if (this.#raw.hidden || !ids) return
    const frames = this.#reader.frames.between(...ids)
    const rest = frames.length - MOST_FRAMES
    this.#raw.textContent = [...frames.slice(0, MOST_FRAMES), ...(rest > 0 ? [`… ${rest} more`] : [])].join('\n\n')
  }
}

/** The ids on the wire of a row's frames; undefined when it has none. */
function idsOf(row: Row): [first: number, last: number] | undefined {
  if (row.type === 'deltas') return [row.first, row.last]
  if (row.type === 'merged') return [row.last, row.last]
  return row.type === 'done' ? [row.id, row.id] : undefined
}
