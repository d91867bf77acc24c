const SPACE = 32
const QUOTE = 34
const BACKSLASH = 92

/** The field whose text is extracted. */
const NAME = '"content"'

/** Unused templates after which a stream stops learning. */
const MAX_UNUSED = 16

/**
 * Hot path. The chunks of a stream differ in little but their text. After one chunk is parsed, the next is recognised
 * by the JSON before and after its text, and only the text is parsed. Parsing the whole JSON of every chunk costs
 * several times as much and yields no new fields.
 *
 * It is exact: the part in between is the `content` of the chunk's delta and must be one complete JSON string. Any
 * other chunk is parsed in full.
 */
export class ChunkTemplate {
  /** The JSON up to the text's opening quote, and from its closing quote on. Empty until a chunk is learnt. */
  #before = ''
  #after = ''
  #unused = 0

  /** Remembers a chunk in which only `content` is new. */
  learn(data: string, content: string): void {
    if (this.#unused === MAX_UNUSED) return
    this.#unused += 1
    const text = JSON.stringify(content).slice(1, -1)
    const at = data.indexOf(NAME) + NAME.length + 2
    const before = data.slice(0, at)
    const after = data.slice(at + text.length)
    if (!before.endsWith(`${NAME}:"`) || !data.startsWith(text, at) || !after.startsWith('"')) return
    // The name occurs only once, and without escapes it has no other spelling, so this is the field that holds the
    // content. Chunks in another format are parsed in full.
    if (after.includes(NAME) || before.includes('\\') || after.includes('\\')) return
    this.#before = before
    this.#after = after
  }

  /** Drops the template: a field outside the text has changed. */
  forget(): void {
    this.#before = ''
    this.#after = ''
  }

  /** The content of a chunk that matches the template; undefined for other chunks. */
  match(data: string): string | undefined {
    const before = this.#before.length
    const end = data.length - this.#after.length
    if (before === 0 || end < before) return undefined
    // `startsWith` compares character by character; comparing slices is ten times as fast.
    if (data.slice(0, before) !== this.#before || data.slice(end) !== this.#after) return undefined
    this.#unused = 0
    const text = data.slice(before, end)
    // A longer slice would keep the whole network read in memory; parsing makes a copy.
    if (text.length < 13 && isPlain(text)) return text
    try {
      const parsed: unknown = JSON.parse(`"${text}"`)
      return typeof parsed === 'string' ? parsed : undefined
    } catch {
      return undefined
    }
  }
}

/** Whether a text contains no characters that JSON escapes. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < SPACE || code === QUOTE || code === BACKSLASH) return false
  }
  return true
}
