import type { Transform } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { invalidResponse, responseOverLimit } from '../upstream-errors.ts'

/** Options for streaming: output is flushed at once, and a missing checksum at the end is accepted. */
const GZIP = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH }
const BROTLI = { flush: constants.BROTLI_OPERATION_FLUSH, finishFlush: constants.BROTLI_OPERATION_FLUSH }

const DECOMPRESSORS: ReadonlyMap<string, () => Transform> = new Map([
  ['gzip', () => createGunzip(GZIP)],
  ['x-gzip', () => createGunzip(GZIP)],
  ['deflate', () => createInflate(GZIP)],
  ['br', () => createBrotliDecompress(BROTLI)],
])

/** Codings that we cannot undo. `fetch` reads a body with any other name (`none`, `utf-8`) as it is. */
const UNREADABLE = new Set('compress x-compress zstd lzma xz bzip2 lz4 snappy sdch exi dcb dcz pack200-gzip'.split(' '))

/** Maximum codings: one by the server and one by a proxy. Each stage takes memory. */
const MAX_CODINGS = 2

export interface Decompressed {
  onData: (bytes: Buffer) => void
  /** Bytes between two decompression stages. */
  onIntermediateBytes: (bytes: number) => void
  /** Called when it can take more bytes, after `write` returned false. */
  onDrain: () => void
  onEnd: () => void
  onError: (error: unknown) => void
}

/** Decompresses a body, in one or two stages. */
export class Decompressor {
  readonly #first: Transform
  readonly #stages: readonly Transform[]

  /** @param stages in the order in which the bytes pass through them */
  constructor(stages: readonly [Transform, ...Transform[]], decompressed: Decompressed) {
    this.#stages = stages
    this.#first = stages[0]
    this.#first.on('drain', decompressed.onDrain)
    for (const [index, stage] of stages.entries()) {
      stage.on('error', decompressed.onError)
      const next = stages[index + 1]
      if (next) stage.on('data', (bytes: Buffer) => decompressed.onIntermediateBytes(bytes.length)).pipe(next)
      else stage.on('data', decompressed.onData).on('end', decompressed.onEnd)
    }
  }

  /** `bytes` must not be overwritten later. Returns false when full: write no more until `onDrain`. */
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
 * Decompresses bodies from servers that ignore `accept-encoding: identity`. Undefined for an uncompressed body.
 *
 * @throws ProviderError `upstream_invalid_response` for a coding that we cannot undo, or for more than two codings
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
    .filter((coding) => DECOMPRESSORS.has(coding) || UNREADABLE.has(coding))
  if (codings.length > MAX_CODINGS)
    throw responseOverLimit(`The upstream compressed its answer ${codings.length} times.`)
  // Codings are listed in the order in which they were applied, so they are undone from last to first.
  const [first, ...others] = codings.toReversed().map(create)
  return first && new Decompressor([first, ...others], decompressed)
}

function create(coding: string): Transform {
  const decompressor = DECOMPRESSORS.get(coding)?.()
  if (!decompressor) throw invalidResponse(`The upstream compressed its answer with ${coding}.`)
  return decompressor
}
