import { isRecord, setField, type Fields } from '../src/json.ts'
import { isCarried } from '../src/stream/events.ts'
import type { Carried } from '../src/wires/carried.ts'
import { ProviderError } from './provider.ts'

/** Header names that suggest a secret value. */
const SECRET_NAME = /auth|key|token|secret|cookie|credential|pass|pwd|bearer|sig|jwt|session/i

/** Common non-secret values: switches and short numbers, such as in `x-bypass-cache: true`. */
const ORDINARY = /^(true|false|none|null|yes|no|on|off|\d{1,6})$/i

const REDACTED = '[redacted]'
/** Shorter values are too likely to be ordinary words. */
const MIN_CHARACTERS = 4
/** The same minimum for a part of a secret. */
const MIN_PART_CHARACTERS = 8

/** Longer than any real message. Bounded because the error is appended even to a full log. */
const MAX_MESSAGE_CHARACTERS = 4096

export function headerSecrets(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers)
    .filter(([name, value]) => SECRET_NAME.test(name) && !ORDINARY.test(value))
    .flatMap(([, value]) => [value, value.replace(/^\S+\s+/, '')])
}

/** Any query value can be a key, except a version (Azure requires one). */
export function querySecrets(url: URL): string[] {
  return [...url.searchParams].filter(([name]) => !/version$/i.test(name)).map(([, value]) => value)
}

/**
 * Redacts secrets from an error, so that readers may see it. Upstreams quote refused requests, including keys, at any
 * length.
 */
export function withoutSecrets(error: ProviderError, secrets: readonly string[]): ProviderError {
  const message = cut(redact(error.message.slice(0, 2 * MAX_MESSAGE_CHARACTERS), secrets))
  const carried = error.carried && redactFields(error.carried, secrets)
  if (message === error.message && carried === error.carried) return error
  const { code, retryable, retryAfter, upstreamStatus, usage } = error
  return new ProviderError({
    code,
    message,
    retryable,
    ...(retryAfter !== undefined && { retryAfter }),
    ...(upstreamStatus !== undefined && { upstreamStatus }),
    ...(carried && { carried }),
    ...(usage && { usage }),
  })
}

/** Redacts the texts and names in carried fields; returns the same object when there is no secret in it. */
function redactFields(carried: Carried, secrets: readonly string[]): Carried {
  let found = false
  const clean = (text: string): string => {
    const redacted = redact(text, secrets)
    found ||= redacted !== text
    return redacted
  }
  const visit = (value: unknown): unknown => {
    if (typeof value === 'string') return clean(value)
    if (Array.isArray(value)) return value.map(visit)
    if (!isRecord(value)) return value
    const fields: Fields = {}
    for (const [name, each] of Object.entries(value)) setField(fields, clean(name), visit(each))
    return fields
  }
  const redacted = visit(carried)
  return found && isCarried(redacted) ? redacted : carried
}

/** Keys as upstreams mask them: `sk-ab***90`, `sk-...90`. */
const MASKED_KEY =
  /[\w-]{1,64}\*{3,}[\w*-]{0,64}|\*{3,64}[\w-]{1,64}|\b(?:sk|pk|gsk|xai|hf|nvapi|csk|fw|pplx|tgp|r8|key)[-_][\w-]{0,64}(?:\.{2,}|…|\*{2,})[\w-]{0,64}/gi

function redact(message: string, secrets: readonly string[]): string {
  const text = message.replace(MASKED_KEY, REDACTED)
  const known = secrets.filter(({ length }) => length >= MIN_CHARACTERS)
  if (known.length === 0) return text
  const forms = new Set(known.flatMap(formsOf))
  // Longest first: one secret may contain another.
  const pattern = [...forms].toSorted((a, b) => b.length - a.length).map((form) => form.replace(/[^\w]/g, '\\$&'))
  const redacted = text.replace(new RegExp(pattern.join('|'), 'gi'), REDACTED)
  return known.some((secret) => holdsMostOf(redacted, secret)) ? REDACTED : redacted
}

/** Whether a text contains three quarters of a secret, in any spelling: then the whole text is unsafe. */
function holdsMostOf(text: string, secret: string): boolean {
  const plain = normalise(secret)
  const length = Math.ceil(0.75 * plain.length)
  if (length < MIN_PART_CHARACTERS) return false
  const said = normalise(text)
  return said.includes(plain.slice(0, length)) || said.includes(plain.slice(-length))
}

/** Lower-cases a text and removes percent-encoding, JSON escapes, white space and zero-width characters. */
function normalise(text: string): string {
  let plain = text
  for (let i = 0; i < 3; i++) plain = plain.replace(/%([\da-f]{2})/gi, (_, code: string) => toCharacter(code))
  plain = plain.replace(/\\u([\da-f]{4})/gi, (_, code: string) => toCharacter(code))
  return plain.replace(/[\s\\\u200b-\u200d\u2060\ufeff]/g, '').toLowerCase()
}

function toCharacter(code: string): string {
  return String.fromCharCode(Number.parseInt(code, 16))
}

/** The forms of a secret: plain, URL-encoded and base64. */
function formsOf(secret: string): string[] {
  const base64 = Buffer.from(secret).toString('base64').replace(/=+$/, '')
  return [secret, encodeURIComponent(secret), base64, Buffer.from(secret).toString('base64url')]
}

function cut(text: string): string {
  if (text.length <= MAX_MESSAGE_CHARACTERS) return text
  // Do not cut a surrogate pair.
  return `${text.slice(0, MAX_MESSAGE_CHARACTERS - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}
