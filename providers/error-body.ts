// The error in the body of a response that is no answer, whatever form the body has.

import { isRecord, parseJson, type Fields } from '../src/json.ts'
import { findError } from './error-shapes.ts'
import type { StreamFormat } from './stream-format.ts'
import type { ResponseHead } from './transport/transport.ts'

/** A longer text is more likely a page or a log than a message. */
const MAX_TEXT = 1000

/** Undefined for text that is no JSON. */
export function readJson(body: string): unknown {
  try {
    return parseJson(body.replace(/^\uFEFF/, ''))
  } catch {
    return undefined // Most likely an HTML page, which does not help a reader.
  }
}

/** SDKs read JSON, and show what is no JSON as it is; some servers send a stream, or lines of JSON. */
export function readErrorBody(text: string, head: ResponseHead, format: StreamFormat): Fields | undefined {
  const body = readJson(text)
  if (body !== undefined) return errorIn(body)
  return inMessages(text, format) ?? inLines(text) ?? plainText(text, head)
}

/** The error in a value that is known to be that of an error. */
function errorIn(body: unknown): Fields | undefined {
  return typeof body === 'string' && body.trim() !== '' && body.length <= MAX_TEXT
    ? { message: body }
    : findError(body, true)
}

function inMessages(text: string, format: StreamFormat): Fields | undefined {
  try {
    const decoder = format.createDecoder()
    const messages = [...decoder.push(Buffer.from(text)), ...decoder.push(Buffer.from('\n\n')), ...decoder.end()]
    const errors = messages.map(({ data }) => errorIn(readJson(data)))
    return errors.find((error) => error !== undefined) ?? errorIn(readJson(decoder.stray ?? ''))
  } catch {
    return undefined
  }
}

function inLines(text: string): Fields | undefined {
  const [line = ''] = text.trimStart().split('\n', 1)
  const value = readJson(line)
  return isRecord(value) ? errorIn(value) : undefined
}

/** SDKs show it. Of a 5xx it is more likely from a proxy. */
function plainText(text: string, { status, headers }: ResponseHead): Fields | undefined {
  if (status >= 500) return undefined
  const words = text.replace(/^\uFEFF/, '').trim()
  const type = headers.get('content-type') ?? 'text/plain'
  const isPlain = type.startsWith('text/plain') && !/^[<{[]/.test(words) && isPrintable(words)
  return isPlain && words !== '' && words.length <= MAX_TEXT ? { message: words } : undefined
}

/** Bytes in another coding are no text. */
function isPrintable(words: string): boolean {
  return !/[^\P{Cc}\s]|\uFFFD/u.test(words)
}
