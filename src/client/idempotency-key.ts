/** Supported by every runtime; `randomUUID` is missing on pages that were not served over HTTPS. */
interface RandomSource {
  randomUUID?: () => string
  getRandomValues(array: Uint8Array<ArrayBuffer>): Uint8Array
}

/** Creates a random, unique key. */
export function createIdempotencyKey(source: RandomSource = crypto): string {
  if (source.randomUUID) return source.randomUUID()
  return Array.from(source.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
