import { ProviderError } from './provider.ts'

/** Headers whose values are known to nobody but the provider and us, by their names. */
const SECRET_NAME = /auth|key|token|secret|cookie|credential|pass|pwd|bearer|sig|jwt|session/i

/** Values of switches and numbers, of `x-bypass-cache: true` for example. */
const ORDINARY = /^(true|false|none|null|yes|no|on|off|\d{1,6})$/i

const REDACTED = '[redacted]'
/** What is shorter is a word by accident more often than a secret. */
const MIN_CHARACTERS = 4

/** More than any provider has to say; the message is part of a log that may be full already. */
const MAX_MESSAGE_CHARACTERS = 4096

export function headerSecrets(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers)
    .filter(([name, value]) => SECRET_NAME.test(name) && !ORDINARY.test(value))
    .flatMap(([, value]) => [value, value.replace(/^\S+\s+/, '')])
}

/** Every value of a query but that of a version, as Azure wants one, can be a key. */
export function querySecrets(url: URL): string[] {
  return [...url.searchParams].filter(([name]) => !/version$/i.test(name)).map(([, value]) => value)
}

/**
 * The error as a reader may be told of it: upstreams quote the requests that they refuse, keys included, and say as
 * much as they like.
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
  // The longest first: one may be a part of another.
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
  // Not between the halves of one character.
  return `${text.slice(0, MAX_MESSAGE_CHARACTERS - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}
