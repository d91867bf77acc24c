import { copyButton } from '../copy.ts'
import { create } from '../dom.ts'
import type { MarkdownElement, MarkdownSink } from './sink.ts'

/** Builds the elements of Markdown in a page: nodes are only added, so a selection stays, and no HTML is ever parsed. */
export class DomSink implements MarkdownSink {
  readonly #open: Element[]

  constructor(root: Element) {
    this.#open = [root]
  }

  open(element: MarkdownElement): void {
    const { outer, inner = outer } = build(element)
    this.#current.append(outer)
    this.#open.push(inner)
  }

  text(text: string): void {
    const { lastChild } = this.#current
    if (lastChild instanceof Text) lastChild.appendData(text)
    else this.#current.append(text)
  }

  close(): void {
    this.#open.pop()
  }

  closeAsText(marker: string): void {
    const element = this.#current
    element.before(marker)
    element.classList.add('plain')
    this.close()
  }

  get #current(): Element {
    const element = this.#open.at(-1)
    if (!element) throw new Error('More elements were closed than opened.')
    return element
  }
}

/** `inner`: the element that the content goes to. */
function build(element: MarkdownElement): { outer: Element; inner?: Element } {
  switch (element.name) {
    case 'heading': {
      // The answer has a heading itself, of level 3.
      const heading = create('h4')
      heading.dataset.level = String(element.level)
      return { outer: heading }
    }
    case 'fence':
      return buildFence(element.language)
    case 'table': {
      const table = create('table')
      return { outer: create('div', 'table', table), inner: table }
    }
    case 'ol': {
      const list = create('ol')
      list.start = element.start
      return { outer: list }
    }
    case 'a': {
      const link = create('a')
      link.href = element.href
      link.rel = 'noopener noreferrer'
      link.target = '_blank'
      return { outer: link }
    }
    case 'p':
    case 'strong':
    case 'em':
    case 's':
    case 'code':
    case 'blockquote':
    case 'ul':
    case 'li':
    case 'tr':
    case 'th':
    case 'td':
    case 'hr':
      return { outer: create(element.name) }
  }
}

function buildFence(language: string): { outer: Element; inner: Element } {
  const code = create('code')
  const pre = create('pre', '', code)
  // Long lines are scrolled, with the keyboard as well.
  pre.tabIndex = 0
  const copy = copyButton('Copy code', () => code)
  return {
    outer: create('div', 'fence', create('div', 'fence-bar', create('span', '', language), copy), pre),
    inner: code,
  }
}
