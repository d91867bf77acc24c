import { ProviderError } from './provider.ts'

/** Header names that suggest a secret value. */
const SECRET_NAME = /auth|key|token|secret|cookie|credential|pass|pwd|bearer|sig|jwt|session/i

/** Values of switches and numbers, of `x-bypass-cache: true` for example. */
const ORDINARY = /^(true|false|none|null|yes|no|on|off|\d{1,6})$/i

const REDACTED = '[redacted]'
/** Shorter values are too likely to be ordinary words. */
const MIN_CHARACTERS = 4

/** Longer than any honest message. Bounded because it is appended even to a full log. */
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
 * An error that may be shown to readers. Upstreams quote the requests that they refuse, keys included, at any length.
 */
export function withoutSecrets(error: ProviderError, secrets: readonly string[]): ProviderError {
  const message = cut(redact(error.message, secrets))
  if (message === error.message) return error
  const { code, retryable, retryAfter, upstreamStatus } = error
  return new ProviderError({
    code,
    message,
    retryable,
    ...(retryAfter !== undefined && { retryAfter }),
    ...(upstreamStatus !== undefined && { upstreamStatus }),
  })
}

function redact(text: string, secrets: readonly string[]): string {
  const forms = new Set(secrets.filter(({ length }) => length >= MIN_CHARACTERS).flatMap(formsOf))
  if (forms.size === 0) return text
  // Longest first: one secret may contain another.
  const pattern = [...forms].toSorted((a, b) => b.length - a.length).map((form) => form.replace(/[^\w]/g, '\\$&'))
  return text.replace(new RegExp(pattern.join('|'), 'gi'), REDACTED)
}

/** A secret as it is, in a URL and in base64. */
function formsOf(secret: string): string[] {
  const base64 = Buffer.from(secret).toString('base64').replace(/=+$/, '')
  return [secret, encodeURIComponent(secret), base64, Buffer.from(secret).toString('base64url')]
}

function cut(text: string): string {
  if (text.length <= MAX_MESSAGE_CHARACTERS) return text
  // Not within a surrogate pair.
  return `${text.slice(0, MAX_MESSAGE_CHARACTERS - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}
