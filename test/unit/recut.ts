import * as fc from 'fast-check'
import { EventDecoder, type DecodedEvent, type DecoderOptions } from '../../src/sse/decode.ts'

/** Where a network may cut bytes: anywhere at all, or (`undefined`) after every single byte. */
export const anyCuts = fc.option(fc.array(fc.nat(), { maxLength: 16 }), { nil: undefined, freq: 4 })

/** The same bytes in pieces; a cut is taken modulo the length, and cuts in one place make empty pieces. */
export function recut(bytes: Uint8Array, cuts: readonly number[] | undefined): Uint8Array[] {
  if (!cuts) return Array.from(bytes, (byte) => Uint8Array.of(byte))
  const places = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b)
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length))
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** What one decoder finds in pieces, without `end()`. */
export function decodePieces(pieces: readonly Uint8Array[], options?: DecoderOptions): DecodedEvent[] {
  const decoder = new EventDecoder(options)
  return pieces.flatMap((piece) => decoder.push(piece))
}
