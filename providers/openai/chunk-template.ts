const SPACE = 32
const QUOTE = 34
const BACKSLASH = 92

/** The name of the field whose text is read. */
const NAME = '"content"'

/** Unused templates after which a stream stops learning. */
const MAX_UNUSED = 16

/**
 * The chunks of one stream differ in little but their text, so once one has been parsed the next is recognised by what
 * stands before and after its text, and only that is read. This is the hot path: parsing the whole JSON of every chunk
 * costs several times as much, for fields that are known already.
 *
 * It is exact: the part between is known to be the content of the chunk's delta, and must be one complete JSON string;
 * any other chunk is parsed.
 */
export class ChunkTemplate {
  /** Up to and with the quote before the text, and from the quote after it on; empty until one has been learnt. */
  #before = ''
  #after = ''
  #unused = 0

  /** Remembers a chunk whose only news was `content`. */
  learn(data: string, content: string): void {
    if (this.#unused === MAX_UNUSED) return
    this.#unused += 1
    const text = JSON.stringify(content).slice(1, -1)
    const at = data.indexOf(NAME) + NAME.length + 2
    const before = data.slice(0, at)
    const after = data.slice(at + text.length)
    if (!before.endsWith(`${NAME}:"`) || !data.startsWith(text, at) || !after.startsWith('"')) return
    // The name occurs only here, and without escapes no other spelling can mean it, so this is the field that the
    // content was read from. Chunks written in another way are parsed.
    if (after.includes(NAME) || before.includes('\\') || after.includes('\\')) return
    this.#before = before
    this.#after = after
  }

  /** A field that chunks do not repeat has changed since the template was learnt. */
  forget(): void {
    this.#before = ''
    this.#after = ''
  }

  /** The content of a chunk that is otherwise like the one learnt last. */
  match(data: string): string | undefined {
    const before = this.#before.length
    const end = data.length - this.#after.length
    if (before === 0 || end < before) return undefined
    // `startsWith` goes character by character; comparing slices is ten times as fast.
    if (data.slice(0, before) !== this.#before || data.slice(end) !== this.#after) return undefined
    this.#unused = 0
    const text = data.slice(before, end)
    // A longer slice would keep the whole of what was read from the network in memory; parsing makes it anew.
    if (text.length < 13 && isPlain(text)) return text
    try {
      const parsed: unknown = JSON.parse(`"${text}"`)
      return typeof parsed === 'string' ? parsed : undefined
    } catch {
      return undefined
    }
  }
}

/** Whether a text has no characters that JSON escapes. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < SPACE || code === QUOTE || code === BACKSLASH) return false
  }
  return true
}
