import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { TransportRequest } from './transport.ts'

/** Visible ASCII only: a space or line break in the path would end the request line (request splitting, CWE-113). */
const PATH = /^\/[!-~]*$/

/**
 * The header fields of a request, with lower-case names; `host` is first and `content-length` last.
 *
 * @throws TypeError for a path or a header that cannot be sent
 */
export function requestFields({ method, path, headers, body }: TransportRequest, host: string): Map<string, string> {
  if (!PATH.test(path)) throw new TypeError('The path of the request contains characters that must be encoded')
  const fields = new Map([['host', host]])
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    fields.set(name.toLowerCase(), value)
  }
  if (body !== undefined) fields.set('content-length', String(Buffer.byteLength(body)))
  // A POST without content sends a length of 0: https://www.rfc-editor.org/rfc/rfc9110.html#section-8.6
  else if (method === 'POST') fields.set('content-length', '0')
  return fields
}
