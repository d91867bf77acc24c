import { describe, expect, it } from 'vitest'
import { ProviderError } from '../../providers/provider.ts'
import { headerSecrets, querySecrets, withoutSecrets } from '../../providers/secrets.ts'

function told(message: string, ...secrets: string[]): string {
  return withoutSecrets(new ProviderError({ code: 'upstream_error', message }), secrets).message
}

describe('a key that the upstream masked', () => {
  it.each(['sk***90', 'sk-li********7890', '***7890', 'sk-proj-...AbCd', 'gsk_ab…yz'])('is not quoted: %s', (key) => {
    expect(told(`Wrong: ${key}.`)).toBe('Wrong: [redacted].')
  })

  it.each(['wait... what', '**bold** and *italic*', 'a…b'])('is not seen in %s', (text) => {
    expect(told(text)).toBe(text)
  })
})

describe('headerSecrets', () => {
  it.each([
    ['authorization', 'Bearer sk-1234', ['Bearer sk-1234', 'sk-1234']],
    ['X-Api-Key', 'sk-1234', ['sk-1234', 'sk-1234']],
    ['cf-access-client-secret', 'hush', ['hush', 'hush']],
    ['cookie', 'session=abcd', ['session=abcd', 'session=abcd']],
  ])('include the value of %s', (name, value, secrets) => {
    expect(headerSecrets({ [name]: value })).toEqual(secrets)
  })

  it.each(['anthropic-version', 'anthropic-beta', 'traceparent', 'openai-organization', 'x-team', 'user-agent'])(
    'do not include %s',
    (name) => expect(headerSecrets({ [name]: 'some value' })).toEqual([]),
  )
})

describe('querySecrets', () => {
  it('are all query values except a version', () => {
    expect(querySecrets(new URL('https://a.test/?key=k%2Fey&api-version=2024-10-21&code=abcd'))).toEqual([
      'k/ey',
      'abcd',
    ])
  })
})

describe('withoutSecrets', () => {
  const key = 'sk-a/b+c?d&äö'

  it.each([
    ['as it is', key],
    ['in capitals', key.toUpperCase()],
    ['percent-encoded', encodeURIComponent(key)],
    ['percent-encoded in small letters', encodeURIComponent(key).replace(/%../g, (code) => code.toLowerCase())],
    ['in base64', Buffer.from(key).toString('base64')],
    ['in base64 for URLs', Buffer.from(key).toString('base64url')],
  ])('redacts a key %s, wherever it occurs', (_, written) => {
    const message = told(`${written} is not a key, "${written}" is none, and neither is (${written})`, key)
    expect(message.replaceAll('=', '')).toBe(
      '[redacted] is not a key, "[redacted]" is none, and neither is ([redacted])',
    )
  })

  it.each([
    ['percent-encoded in full', (secret: string) => secret.replace(/./g, (c) => `%${c.charCodeAt(0).toString(16)}`)],
    ['percent-encoded twice', (secret: string) => secret.replace(/./g, (c) => `%25${c.charCodeAt(0).toString(16)}`)],
    ['escaped as JSON may be', (secret: string) => secret.replace(/./g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`)],
    ['with spaces in it', (secret: string) => secret.split('').join(' ')],
    ['broken over lines', (secret: string) => secret.replace(/.{6}/g, '$&\n')],
    ['with characters of no width', (secret: string) => secret.split('').join('\u200b')],
    ['without its last letters', (secret: string) => secret.slice(0, -3)],
    ['without its first letters', (secret: string) => secret.slice(3)],
  ])('says nothing of a message that holds a key %s', (_, disguise) => {
    const secret = 'sk-proj-1234567890abcdef'
    expect(told(`Incorrect API key provided: ${disguise(secret)}.`, secret)).toBe('[redacted]')
  })

  it('redacts the longest match', () => {
    expect(told('refused: Bearer sk-12345', 'sk-1', 'sk-12345', 'Bearer sk-12345')).toBe('refused: [redacted]')
  })

  it('does not redact words of three letters', () => {
    expect(told('any key', 'any', 'key')).toBe('any key')
  })

  it('does not treat a secret as a pattern', () => {
    expect(told('some text (.*) of it', '(.*)', '....')).toBe('some text [redacted] of it')
  })

  it('returns an error without secrets unchanged', () => {
    const error = new ProviderError({ code: 'upstream_error', message: 'No.', cause: new Error('why') })
    expect(withoutSecrets(error, [key])).toBe(error)
  })

  it('keeps the other fields of an error, but not its cause', () => {
    const cause = new Error(key)
    const retryAfter = 7
    const error = new ProviderError({
      code: 'upstream_rejected',
      message: key,
      retryable: true,
      retryAfter,
      upstreamStatus: 422,
      cause,
    })
    const clean = withoutSecrets(error, [key])
    expect(clean).toMatchObject({ code: 'upstream_rejected', retryable: true, retryAfter, upstreamStatus: 422 })
    expect(clean.cause).toBeUndefined()
    expect(clean.stack).not.toContain(key)
  })

  it('cuts messages at 4,096 characters, after redacting and never within a character', () => {
    expect(told('x'.repeat(4096))).toBe('x'.repeat(4096))
    expect(told('x'.repeat(4097))).toBe(`${'x'.repeat(4095)}…`)
    expect(told(`${'x'.repeat(4094)}😀😀`)).toBe(`${'x'.repeat(4094)}…`)
    expect(told(`${'x'.repeat(4090)}${key}${key}`, key)).toBe(`${'x'.repeat(4090)}[reda…`)
  })
})
