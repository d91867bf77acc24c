/** How far the start of a line is held back until it is clear which block it begins. */
const MAX_START = 120
/** The info string of a fence, and a row of a table, are needed whole. */
const MAX_LINE = 4000

const CONTAINERS = '(?:[ >]|[-*+] |\\d{1,9}[.)] )*'
const UNDECIDED = new RegExp(`^${CONTAINERS}(?:#{0,6} *|[-*_][-*_ ]*|\\+|\\d{1,9}[.)]?|\`{1,2}|~{1,2})$`)
const NEEDED_WHOLE = new RegExp(`^${CONTAINERS}(?:\`{3,}[^\`]*|~{3,}.*|\\|.*)$`)
const UNDECIDED_IN_FENCE = /^[ >]*[`~]* *$/

/** Whether more of this line must be known before it can be shown. */
export function isUndecided(line: string, inFence: boolean): boolean {
  if (inFence) return line.length < MAX_START && UNDECIDED_IN_FENCE.test(line)
  if (line.length < MAX_START && UNDECIDED.test(line)) return true
  return line.length < MAX_LINE && NEEDED_WHOLE.test(line)
}

/** What a line begins, behind the containers that it is in. */
export type LineStart =
  | { type: 'quote'; length: number }
  | { type: 'item'; length: number; ordered: boolean; number: number }
  | { type: 'heading'; length: number; level: number }
  | { type: 'fence'; marker: string; language: string }
  | { type: 'rule' }
  | { type: 'row' }
  | { type: 'text' }

/** `text` has no indentation; `isWhole`: it reaches to the end of the line. */
export function lineStart(text: string, isWhole: boolean): LineStart {
  if (isWhole && /^([-*_])(?: *\1){2,} *$/.test(text)) return { type: 'rule' }
  const [quote] = /^> ?/.exec(text) ?? []
  if (quote) return { type: 'quote', length: quote.length }
  const [item, number] = /^(?:[-*+]|(\d{1,9})[.)])(?: +|$)/.exec(text) ?? []
  if (item) return { type: 'item', length: item.length, ordered: number !== undefined, number: Number(number ?? 1) }
  const [heading, hashes = ''] = /^(#{1,6})(?: +|$)/.exec(text) ?? []
  if (heading) return { type: 'heading', length: heading.length, level: hashes.length }
  const [fence, marker = '', info = ''] = /^(`{3,}(?=[^`]*$)|~{3,})(.*)$/.exec(text) ?? []
  if (fence !== undefined && isWhole) return { type: 'fence', marker, language: info.trim().split(/\s/)[0] ?? '' }
  return { type: isWhole && text.startsWith('|') ? 'row' : 'text' }
}

/** Whether this line ends a fence that began with this marker. */
export function closesFence(line: string, marker: string): boolean {
  const [found = ''] = /^(`+|~+)(?= *$)/.exec(line.trimStart()) ?? []
  return found.startsWith(marker)
}

const DELIMITERS = /^\|?(?: *:?-+:? *\|)* *:?-+:? *\|? *$/

/** The line below the head of a table. */
export function isDelimiterRow(line: string): boolean {
  return line.includes('|') && DELIMITERS.test(line.trim())
}

export function cellsOf(row: string): string[] {
  const inner = row
    .trim()
    .replace(/^\|/, '')
    .replace(/(?<!\\)\|$/, '')
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim())
}

/** A tab in an indentation is four spaces. */
export function withoutTabs(line: string): string {
  return line.replace(/^(?:[ \t>]|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))+/, (start) => start.replaceAll('\t', '    '))
}

export function indentOf(line: string): number {
  return line.length - line.trimStart().length
}
