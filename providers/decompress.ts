import type { Transform } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { invalidResponse } from './upstream-errors.ts'

/** With each, what has arrived is passed on at once, and an end without the checksum is not the worst there is. */
const GZIP = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH }
const BROTLI = { flush: constants.BROTLI_OPERATION_FLUSH, finishFlush: constants.BROTLI_OPERATION_FLUSH }

const DECOMPRESSORS: ReadonlyMap<string, () => Transform> = new Map([
  ['gzip', () => createGunzip(GZIP)],
  ['x-gzip', () => createGunzip(GZIP)],
  ['deflate', () => createInflate(GZIP)],
  ['br', () => createBrotliDecompress(BROTLI)],
])

export interface Decompressed {
  onData: (bytes: Buffer) => void
  onEnd: () => void
  onError: (error: unknown) => void
}

/**
 * What turns a body back into what it was before a server, or a proxy before it, compressed it: some do although they
 * are asked not to. Undefined when nobody did.
 *
 * @throws ProviderError `upstream_invalid_response` for a coding that is unknown
 */
export function createDecompressor(
  contentEncoding: string | undefined,
  { onData, onEnd, onError }: Decompressed,
): Transform | undefined {
  if (contentEncoding === undefined) return undefined
  const codings = contentEncoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  // Applied in the order in which they are listed, so taken off from the last to the first.
  const decompressors = codings.toReversed().map(create)
  for (const [index, decompressor] of decompressors.entries()) {
    decompressor.on('error', onError)
    const next = decompressors[index + 1]
    if (next) decompressor.pipe(next)
    else decompressor.on('data', onData).on('end', onEnd)
  }
  return decompressors[0]
}

function create(coding: string): Transform {
  const decompressor = DECOMPRESSORS.get(coding)?.()
  if (!decompressor) throw invalidResponse(`The upstream compressed its answer with ${coding}.`)
  return decompressor
}
