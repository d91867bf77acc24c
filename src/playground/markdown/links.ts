/** Link text and addresses are held back until they are complete, up to this length. */
export const MAX_LINK = 1500

export interface Link {
  /** The source text. */
  source: string
  label: string
  href: string
}

/** `held`: may become a link with the next characters. */
export type LinkMatch = Link | 'held' | undefined

const LINK =
  /!?\[([^[\]\n]*)\]\(<?([^\s()<>[\]]*(?:\([^\s()<>[\]]*\)[^\s()<>[\]]*)*)>?(?: +(?:"[^"\n]*"|'[^'\n]*'))?\)/y
const PART_OF_LINK =
  /!?\[[^[\]\n]*(?:\](?:\(<?(?:[^\s()<>[\]]|\([^\s()<>[\]]*\))*(?:\([^\s()<>[\]]*|>?(?: +(?:"[^"\n]*"?|'[^'\n]*'?)?)?))?)?$/y

/** `[label](address)`; an image is a link, too: nothing is loaded unless somebody wants it. */
export function matchLink(text: string, at: number, isLast: boolean): LinkMatch {
  const [source, label = '', href = ''] = matchAt(LINK, text, at) ?? []
  if (source !== undefined) return { source, label: label || href, href }
  return !isLast && text.length - at < MAX_LINK && matchAt(PART_OF_LINK, text, at) ? 'held' : undefined
}

const ADDRESS = /<?https?:\/\/[^\s<>"`]*>?/y
const SCHEMES = ['https://', 'http://', '<https://', '<http://']

/** `https://…`, also in angle brackets. */
export function matchAddress(text: string, at: number, isLast: boolean): LinkMatch {
  const [found] = matchAt(ADDRESS, text, at) ?? []
  if (found === undefined) {
    const rest = text.slice(at, at + 9)
    return !isLast && SCHEMES.some((scheme) => scheme !== rest && scheme.startsWith(rest)) ? 'held' : undefined
  }
  if (found.startsWith('<')) {
    if (found.endsWith('>')) return { source: found, label: found.slice(1, -1), href: found.slice(1, -1) }
    return !isLast && at + found.length === text.length && found.length < MAX_LINK ? 'held' : undefined
  }
  if (!isLast && at + found.length === text.length && found.length < MAX_LINK) return 'held'
  const href = withoutPunctuation(found)
  return /:\/\/./.test(href) ? { source: href, label: href, href } : undefined
}

/** Only addresses that cannot run anything. */
export function isSafe(href: string): boolean {
  return /^(?:https?:\/\/|mailto:)/i.test(href)
}

const TRAILING = ".,;:!?'>*_~"

/** What follows an address in a sentence is not part of it. */
function withoutPunctuation(address: string): string {
  const trailing = address.includes('(') ? TRAILING : `${TRAILING})`
  let { length } = address
  while (length > 0 && trailing.includes(address.charAt(length - 1))) length -= 1
  return address.slice(0, length)
}

export function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}
