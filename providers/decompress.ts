import type { Transform } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { invalidResponse, responseOverLimit } from './upstream-errors.ts'

/** With each, what has arrived is passed on at once, and an end without the checksum is not the worst there is. */
const GZIP = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH }
const BROTLI = { flush: constants.BROTLI_OPERATION_FLUSH, finishFlush: constants.BROTLI_OPERATION_FLUSH }

const DECOMPRESSORS: ReadonlyMap<string, () => Transform> = new Map([
  ['gzip', () => createGunzip(GZIP)],
  ['x-gzip', () => createGunzip(GZIP)],
  ['deflate', () => createInflate(GZIP)],
  ['br', () => createBrotliDecompress(BROTLI)],
])

/** A server and a proxy before it; each takes memory of its own. */
const MAX_CODINGS = 2

export interface Decompressed {
  onData: (bytes: Buffer) => void
  /** So many bytes, decompressed once, are still to be decompressed again. */
  onPassed: (bytes: number) => void
  /** It can take more, after `write` has said that it is full. */
  onDrain: () => void
  onEnd: () => void
  onError: (error: unknown) => void
}

/** What turns a body back into what it was before it was compressed. */
export class Decompressor {
  readonly #first: Transform
  readonly #stages: readonly Transform[]

  /** @param stages one at least, in the order in which they are passed */
  constructor(stages: readonly [Transform, ...Transform[]], decompressed: Decompressed) {
    this.#stages = stages
    this.#first = stages[0]
    this.#first.on('drain', decompressed.onDrain)
    for (const [index, stage] of stages.entries()) {
      stage.on('error', decompressed.onError)
      const next = stages[index + 1]
      if (next) stage.on('data', (bytes: Buffer) => decompressed.onPassed(bytes.length)).pipe(next)
      else stage.on('data', decompressed.onData).on('end', decompressed.onEnd)
    }
  }

  /** Takes these bytes, which must stay as they are; false when it should be given no more until `onDrain`. */
  write(bytes: Buffer): boolean {
    return this.#first.write(bytes)
  }

  end(): void {
    this.#first.end()
  }

  destroy(): void {
    for (const stage of this.#stages) stage.destroy()
  }
}

/**
 * For what a server, or a proxy before it, compressed: some do although they are asked not to. Undefined when nobody
 * did.
 *
 * @throws ProviderError `upstream_invalid_response` for a coding that is unknown, and for more than two
 */
export function createDecompressor(
  contentEncoding: string | undefined,
  decompressed: Decompressed,
): Decompressor | undefined {
  if (contentEncoding === undefined) return undefined
  const codings = contentEncoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  if (codings.length > MAX_CODINGS)
    throw responseOverLimit(`The upstream compressed its answer ${codings.length} times.`)
  // Applied in the order in which they are listed, so taken off from the last to the first.
  const [first, ...others] = codings.toReversed().map(create)
  return first && new Decompressor([first, ...others], decompressed)
}

function create(coding: string): Transform {
  const decompressor = DECOMPRESSORS.get(coding)?.()
  if (!decompressor) throw invalidResponse(`The upstream compressed its answer with ${coding}.`)
  return decompressor
}
