import { validateHeaderName, validateHeaderValue } from 'node:http'
import { z } from 'zod'

/** Where a provider is. */
export const baseUrlSchema = z
  .url({ protocol: /^https?$/ })
  .refine((url) => new URL(url).username === '', 'holds credentials, which belong into apiKey or headers')

/** What says how the request itself is framed. */
const FRAMING = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What is sent with every request to a provider. */
export const headersSchema = z
  .record(
    z.string().refine(isHeaderName, 'is no name of a header that can be set'),
    z.string().refine(isHeaderValue, 'cannot be sent in a header'),
  )
  .default({})

function isHeaderName(name: string): boolean {
  return !FRAMING.has(name.toLowerCase()) && succeeds(() => validateHeaderName(name))
}

function isHeaderValue(value: string): boolean {
  return succeeds(() => validateHeaderValue('header', value))
}

function succeeds(check: () => void): boolean {
  try {
    check()
    return true
  } catch {
    return false
  }
}
