/**
 * UTF-8 in pieces that are cut anywhere. A `TextDecoder` with `stream` does the same at about three times the cost:
 * Node's fast path takes whole texts only. So the bytes of a character that is cut wait here, and all else is whole.
 */
export class Utf8Decoder {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #rest: Uint8Array | undefined
  #started = false

  push(chunk: Uint8Array): string {
    const bytes = this.#rest ? concat(this.#rest, chunk) : chunk
    const end = bytes.length - unfinished(bytes)
    // A copy, which a Buffer's `slice` is not: whoever reads into one buffer overwrites it.
    this.#rest = end < bytes.length ? new Uint8Array(bytes.subarray(end)) : undefined
    return this.#decode(end < bytes.length ? bytes.subarray(0, end) : bytes)
  }

  end(): string {
    const rest = this.#rest
    this.#rest = undefined
    return rest ? this.#decode(rest) : ''
  }

  /** Drops a byte order mark at the very start, as the standard asks. */
  #decode(bytes: Uint8Array): string {
    if (bytes.length === 0) return ''
    const text = this.#decoder.decode(bytes)
    if (this.#started) return text
    this.#started = true
    return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
  }
}

/** How many bytes at the end begin a character that the next piece may finish. */
function unfinished(bytes: Uint8Array): number {
  const { length } = bytes
  for (let back = 1; back <= 3 && back <= length; back++) {
    const byte = bytes[length - back] ?? 0
    if (byte < 0x80) return 0
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0
  }
  return 0
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}
