import { describeRow } from './describe-row.ts'
import { create } from './dom.ts'
import type { ReaderRecord, Row } from './reader-record.ts'
import { formatSeconds } from './wording.ts'

/** More lines than anybody reads would make the page slow. */
const LONGEST = 500

/** What readers went through, line by line, the newest last. */
export class FrameList {
  readonly #list: HTMLOListElement
  /** How many rows of each record are listed, and the item of the last one. */
  readonly #listed = new Map<ReaderRecord, { count: number; last: HTMLLIElement }>()

  constructor(list: HTMLOListElement) {
    this.#list = list
  }

  clear(): void {
    this.#listed.clear()
    this.#list.replaceChildren()
  }

  /** `origin`: when time began. Only the last row of a record changes, and others come after it. */
  show(records: readonly ReaderRecord[], origin: number): void {
    // Whoever has scrolled back wants to read.
    const follows = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 24
    records.forEach((record, index) => this.#showRecord(record, index === 0 ? 'first' : 'second', origin))
    while (this.#list.childElementCount > LONGEST) this.#list.firstElementChild?.remove()
    if (follows) this.#list.scrollTop = this.#list.scrollHeight
  }

  #showRecord(record: ReaderRecord, which: string, origin: number): void {
    const { rows } = record
    const listed = this.#listed.get(record)
    const latest = listed && rows[listed.count - 1]
    if (latest) fill(listed.last, latest, which, origin)
    for (const row of rows.slice(Math.max(listed?.count ?? 0, rows.length - LONGEST))) {
      const last = create('li')
      fill(last, row, which, origin)
      this.#list.append(last)
      this.#listed.set(record, { count: rows.length, last })
    }
  }
}

function fill(item: HTMLLIElement, row: Row, which: string, origin: number): void {
  const { label, text, ids } = describeRow(row)
  const key = `${label}|${text}|${ids}`
  if (item.dataset.key === key) return
  item.dataset.key = key
  item.className = `${label} ${which}`
  item.replaceChildren(
    create('span', 'time', formatSeconds(row.at - origin)),
    create('span', 'label', label),
    create('span', 'text', which === 'second' ? `2nd reader: ${text}` : text),
    create('span', 'ids', ids),
  )
}
