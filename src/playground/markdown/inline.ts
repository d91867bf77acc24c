import { isSafe, matchAddress, matchAt, matchLink, type Link } from './links.ts'
import type { MarkdownElement, MarkdownSink } from './sink.ts'

/** Emphasis that is open, or a code span. */
interface Span {
  marker: string
  name: 'strong' | 'em' | 's' | 'code'
}

const RUN = /([*_~`])\1*/y
/** A longer run marks nothing, and is not waited for. */
const MAX_RUN = 64
const PLAIN = /[^\\`*_~![<h]+/y
const PUNCTUATION = /[!-/:-@[-`{-~]/
const WORD = /[\p{L}\p{N}_]/u
const ASCII_WORD = /[A-Za-z0-9]/

/**
 * The text of one block: emphasis, code, links. It is shown as it comes; held back is only what the next characters decide.
 * Emphasis is opened at once: if nothing closes it, its marker is text after all.
 */
export class InlineParser {
  readonly #sink: MarkdownSink
  readonly #inLink: boolean
  readonly #spans: Span[] = []
  #pending = ''
  /** The character before `#pending`. */
  #previous = ''
  #text = ''

  constructor(sink: MarkdownSink, inLink = false) {
    this.#sink = sink
    this.#inLink = inLink
  }

  write(text: string): void {
    this.#pending += text
    this.#parse(false)
  }

  /** The block has ended. */
  end(): void {
    this.#parse(true)
    while (this.#spans.length > 0) this.#closeAsText()
  }

  #parse(isLast: boolean): void {
    const pending = this.#pending
    let at = 0
    while (at < pending.length) {
      const length = this.#token(pending, at, isLast)
      if (length === 0) break
      at += length
      this.#previous = pending[at - 1] ?? ''
    }
    this.#pending = pending.slice(at)
    this.#flush()
  }

  /** Parses what stands here. Returns its length; 0 when more is needed to tell. */
  #token(text: string, at: number, isLast: boolean): number {
    const character = text[at] ?? ''
    if (this.#spans.at(-1)?.name === 'code' && character !== '`') return this.#plain(text.slice(at).split('`', 1)[0])
    switch (character) {
      case '`':
      case '*':
      case '_':
      case '~':
        return this.#run(text, at, isLast)
      case '\\':
        return this.#escape(text[at + 1] ?? '', isLast)
      case '[':
      case '!':
      case '<':
      case 'h':
        return this.#link(text, at, isLast)
      default:
        return this.#plain(matchAt(PLAIN, text, at)?.[0])
    }
  }

  #plain(text = ''): number {
    this.#text += text
    return text.length
  }

  #escape(next: string, isLast: boolean): number {
    if (next === '' && !isLast) return 0
    if (!PUNCTUATION.test(next)) return this.#plain('\\')
    this.#text += next
    return 2
  }

  #link(text: string, at: number, isLast: boolean): number {
    const character = text[at] ?? ''
    if (character === '!' && text[at + 1] !== '[')
      return text.length === at + 1 && !isLast && !this.#inLink ? 0 : this.#plain('!')
    if (this.#inLink || (character === 'h' && WORD.test(this.#previous))) return this.#plain(character)
    const match = character === 'h' || character === '<' ? matchAddress(text, at, isLast) : matchLink(text, at, isLast)
    if (match === 'held') return 0
    if (!match) return this.#plain(character)
    if (isSafe(match.href)) this.#showLink(match)
    else this.#text += match.source
    return match.source.length
  }

  #showLink({ label, href }: Link): void {
    this.#open({ name: 'a', href })
    const inner = new InlineParser(this.#sink, true)
    inner.write(label)
    inner.end()
    this.#sink.close()
  }

  /** A run of markers: closes what it can, then opens what it can; what is left of it is text. */
  #run(text: string, at: number, isLast: boolean): number {
    const [run = '', marker = ''] = matchAt(RUN, text, at) ?? []
    const next = text[at + run.length] ?? ''
    if (next === '' && !isLast && run.length < MAX_RUN) return 0
    if (marker === '`') this.#code(run, next)
    else this.#emphasis(run, marker, next)
    return run.length
  }

  #code(run: string, next: string): void {
    const span = this.#spans.at(-1)
    if (span?.name !== 'code') this.#openSpan({ marker: run, name: 'code' }, next)
    else if (span.marker === run) this.#closeSpan()
    else this.#text += run
  }

  #emphasis(run: string, marker: string, next: string): void {
    const previous = this.#previous
    const inWord = WORD.test(previous) && WORD.test(next)
    let rest = run
    if (!isSpace(previous) && !(marker === '_' && inWord)) rest = this.#closeSpans(rest, marker)
    // `a*b`, `2*3` and `snake_case` are no emphasis.
    const isText =
      isSpace(next) ||
      (marker === '_' && WORD.test(previous)) ||
      (rest === '*' && ASCII_WORD.test(previous) && ASCII_WORD.test(next))
    const spans = isText ? undefined : SPANS[rest]
    if (rest === '' || !spans || spans.some((span) => this.#spans.some((open) => open.marker === span.marker)))
      this.#text += rest
    else for (const span of spans) this.#openSpan(span, next)
  }

  /** Closes the innermost spans of these markers. Returns the markers that close nothing. */
  #closeSpans(run: string, marker: string): string {
    let rest = run
    for (;;) {
      const { length } = rest
      const index = this.#spans.findLastIndex((span) => span.marker[0] === marker && span.marker.length <= length)
      if (index === -1) return rest
      while (this.#spans.length > index + 1) this.#closeAsText()
      rest = rest.slice(this.#spans[index]?.marker.length)
      this.#closeSpan()
    }
  }

  #openSpan(span: Span, next: string): void {
    // A marker at the very end of a block has nothing to mark.
    if (next === '') this.#text += span.marker
    else {
      this.#open({ name: span.name })
      this.#spans.push(span)
    }
  }

  #closeSpan(): void {
    this.#flush()
    this.#spans.pop()
    this.#sink.close()
  }

  #closeAsText(): void {
    this.#flush()
    const span = this.#spans.pop()
    if (span) this.#sink.closeAsText(span.marker)
  }

  #open(element: MarkdownElement): void {
    this.#flush()
    this.#sink.open(element)
  }

  #flush(): void {
    if (this.#text !== '') this.#sink.text(this.#text)
    this.#text = ''
  }
}

const SPANS: Readonly<Record<string, readonly Span[]>> = {
  '*': [{ marker: '*', name: 'em' }],
  _: [{ marker: '_', name: 'em' }],
  '**': [{ marker: '**', name: 'strong' }],
  __: [{ marker: '__', name: 'strong' }],
  '***': [
    { marker: '**', name: 'strong' },
    { marker: '*', name: 'em' },
  ],
  '~~': [{ marker: '~~', name: 's' }],
}

function isSpace(character: string): boolean {
  return character.trim() === ''
}
