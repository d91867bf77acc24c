import { InlineParser } from './inline.ts'
import {
  cellsOf,
  closesFence,
  indentOf,
  isDelimiterRow,
  isUndecided,
  lineStart,
  withoutTabs,
  type LineStart,
} from './line.ts'
import type { MarkdownElement, MarkdownSink } from './sink.ts'

/** A block that contains blocks. `indent`: of the marker of an item, in the quote that it is in. */
type Container = { type: 'quote' } | { type: 'list'; ordered: boolean } | { type: 'item'; indent: number }

/** The block that lines go to. */
type Leaf =
  | { type: 'text'; isHeading: boolean; inline: InlineParser }
  | { type: 'fence'; marker: string; indent: number; isEmpty: boolean }
  | { type: 'table' }

const MAX_DEPTH = 16

/**
 * Markdown as it comes, in pieces of any length: paragraphs, headings, lists, quotes, fenced code, tables, rules. HTML is
 * text. Each character is looked at a bounded number of times, and whatever the pieces were, the result is the same.
 */
export class MarkdownParser {
  readonly #sink: MarkdownSink
  readonly #containers: Container[] = []
  #leaf: Leaf | undefined
  /** The start of a line, as long as it is not clear what it begins; undefined in the rest of the line. */
  #start: string | undefined = ''
  /** A line that is the head of a table, if the next one says so. */
  #head: string | undefined

  constructor(sink: MarkdownSink) {
    this.#sink = sink
  }

  write(text: string): void {
    const lines = text.replaceAll('\r', '').split('\n')
    lines.forEach((part, index) => {
      if (index > 0) this.#endLine()
      if (part !== '') this.#append(part)
    })
  }

  end(): void {
    if (this.#start) this.#show(this.#start, true)
    this.#showHead()
    this.#closeTo(0)
  }

  #append(part: string): void {
    if (this.#start === undefined) {
      this.#appendToLeaf(part)
      return
    }
    const inFence = this.#leaf?.type === 'fence'
    this.#start += part
    if (!inFence) this.#start = withoutTabs(this.#start)
    if (isUndecided(this.#start, inFence)) return
    const start = this.#start
    this.#start = undefined
    this.#show(start, false)
  }

  #endLine(): void {
    if (this.#start !== undefined) this.#show(this.#start, true)
    if (this.#leaf?.type === 'text' && this.#leaf.isHeading) this.#closeLeaf()
    this.#start = ''
  }

  #appendToLeaf(text: string): void {
    if (this.#leaf?.type === 'text') this.#leaf.inline.write(text)
    else if (this.#leaf?.type === 'fence') this.#sink.text(text)
    // Before it, there was more blank space than any indentation has.
    else this.#openText({ name: 'p' }, text)
  }

  /** Shows a line, or its start. */
  #show(line: string, isWhole: boolean): void {
    if (this.#leaf?.type === 'fence') {
      this.#showCode(line, isWhole, this.#leaf)
      return
    }
    const head = this.#head
    if (head !== undefined && isWhole && isDelimiterRow(line.replace(/^[ >]*/, ''))) {
      this.#openTable(head)
      return
    }
    this.#showHead()
    const { depth, rest } = this.#matchContainers(line)
    this.#showBlock(rest, depth, isWhole)
  }

  #showCode(line: string, isWhole: boolean, fence: Extract<Leaf, { type: 'fence' }>): void {
    let rest = line
    for (const { type } of this.#containers) if (type === 'quote') rest = rest.replace(/^ *> ?/, '')
    if (isWhole && closesFence(rest, fence.marker)) {
      this.#closeLeaf()
      return
    }
    // Items need no indentation here: models forget it.
    const text = rest.slice(Math.min(indentOf(rest), fence.indent))
    this.#sink.text(fence.isEmpty ? text : `\n${text}`)
    fence.isEmpty = false
  }

  /** How many of the open containers this line is in, and what follows their markers. */
  #matchContainers(line: string): { depth: number; rest: string } {
    let rest = line
    let depth = 0
    for (const container of this.#containers) {
      if (container.type === 'quote') {
        const [marker] = /^ *> ?/.exec(rest) ?? []
        if (!marker) break
        rest = rest.slice(marker.length)
      }
      if (container.type === 'item' && rest.trim() !== '' && indentOf(rest) < container.indent + 2) break
      depth += 1
    }
    // A list is left with its item, unless the next item follows.
    while (this.#containers[depth - 1]?.type === 'list') depth -= 1
    return { depth, rest }
  }

  #showBlock(line: string, depth: number, isWhole: boolean): void {
    const indent = indentOf(line)
    const text = line.slice(indent)
    const leaf = this.#leaf
    if (text === '') {
      if (isWhole) this.#closeLeaf()
      return
    }
    const start = this.#startOf(text, isWhole)
    if (start.type === 'text' && leaf?.type === 'text') {
      leaf.inline.write(`\n${text}`)
      return
    }
    if (start.type === 'row' && leaf?.type === 'table' && depth === this.#depth) {
      this.#showRow(text, 'td')
      return
    }
    this.#closeLeaf()
    switch (start.type) {
      case 'quote':
        this.#closeTo(depth)
        this.#openContainer({ type: 'quote' }, { name: 'blockquote' })
        this.#showBlock(text.slice(start.length), this.#depth, isWhole)
        return
      case 'item':
        this.#openItem(start, indent, depth)
        this.#showBlock(' '.repeat(indent + start.length) + text.slice(start.length), this.#depth, isWhole)
        return
      case 'heading':
      case 'fence':
      case 'rule':
      case 'row':
      case 'text':
        this.#closeTo(depth)
        this.#openLeaf(start, text, indent)
    }
  }

  /** As `lineStart`, but nothing is nested without end, and a year at the start of a line makes no list. */
  #startOf(text: string, isWhole: boolean): LineStart {
    const start = lineStart(text, isWhole)
    const isContainer = start.type === 'quote' || start.type === 'item'
    if (isContainer && this.#depth >= MAX_DEPTH) return { type: 'text' }
    const interrupts = this.#leaf?.type === 'text' && this.#depth === 0
    return start.type === 'item' && start.number !== 1 && interrupts ? { type: 'text' } : start
  }

  #openLeaf(start: Exclude<LineStart, { type: 'quote' | 'item' }>, text: string, indent: number): void {
    switch (start.type) {
      case 'rule':
        this.#sink.open({ name: 'hr' })
        this.#sink.close()
        return
      case 'row':
        this.#head = text
        return
      case 'fence':
        this.#sink.open({ name: 'fence', language: start.language })
        this.#leaf = { type: 'fence', marker: start.marker, indent, isEmpty: true }
        return
      case 'heading':
        this.#openText({ name: 'heading', level: start.level }, text.slice(start.length))
        return
      case 'text':
        this.#openText({ name: 'p' }, text)
    }
  }

  #openText(element: MarkdownElement, text: string): void {
    this.#sink.open(element)
    this.#leaf = { type: 'text', isHeading: element.name === 'heading', inline: new InlineParser(this.#sink) }
    this.#leaf.inline.write(text)
  }

  #openItem({ ordered, number }: Extract<LineStart, { type: 'item' }>, indent: number, matched: number): void {
    let depth = matched
    const list = this.#containers[depth]
    if (list?.type === 'list' && list.ordered === ordered) depth += 1
    this.#closeTo(depth)
    if (this.#containers.at(-1)?.type !== 'list')
      this.#openContainer({ type: 'list', ordered }, ordered ? { name: 'ol', start: number } : { name: 'ul' })
    this.#openContainer({ type: 'item', indent }, { name: 'li' })
  }

  #openTable(head: string): void {
    this.#head = undefined
    this.#sink.open({ name: 'table' })
    this.#leaf = { type: 'table' }
    this.#showRow(head, 'th')
  }

  #showRow(row: string, name: 'th' | 'td'): void {
    this.#sink.open({ name: 'tr' })
    for (const cell of cellsOf(row)) {
      this.#sink.open({ name })
      const inline = new InlineParser(this.#sink)
      inline.write(cell)
      inline.end()
      this.#sink.close()
    }
    this.#sink.close()
  }

  /** No table after all. */
  #showHead(): void {
    const head = this.#head
    this.#head = undefined
    if (head !== undefined) this.#openText({ name: 'p' }, head)
  }

  #openContainer(container: Container, element: MarkdownElement): void {
    this.#sink.open(element)
    this.#containers.push(container)
  }

  get #depth(): number {
    return this.#containers.length
  }

  #closeTo(depth: number): void {
    this.#closeLeaf()
    while (this.#depth > depth) {
      this.#containers.pop()
      this.#sink.close()
    }
  }

  #closeLeaf(): void {
    const leaf = this.#leaf
    this.#leaf = undefined
    if (leaf?.type === 'text') leaf.inline.end()
    if (leaf) this.#sink.close()
  }
}
