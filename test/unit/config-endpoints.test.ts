import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import type { Fault } from '../../src/faults.ts'
import { endpointAt } from '../../providers/endpoint.ts'
import { load } from './config-file.ts'

/** What is wrong with a provider of these fields. */
function faultsOf(fields: Record<string, unknown>): Fault[] {
  try {
    load({}, JSON.stringify({ providers: { x: { type: 'openai', ...fields } } }))
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

describe('what goes into each request to a provider', () => {
  it.each<[path: string, what: string, fields: Record<string, unknown>]>([
    ['headers.x-team', 'a second line', { headers: { 'x-team': 'blue\r\nx-evil: 1' } }],
    ['headers.x-team', 'a line break at its end', { headers: { 'x-team': 'blue\n' } }],
    ['headers.x-team', 'what is no Latin-1', { headers: { 'x-team': '€' } }],
    ['headers.x team', 'a name with a space', { headers: { 'x team': 'blue' } }],
    ['headers.x:team', 'a name with a colon', { headers: { 'x:team': 'blue' } }],
    ['headers.', 'no name', { headers: { '': 'blue' } }],
    ['headers.Connection', 'what says how long the connection is kept', { headers: { Connection: 'close' } }],
    ['headers.content-length', 'what says how long the body is', { headers: { 'content-length': '5' } }],
    ['headers.Transfer-Encoding', 'what says how the body is cut', { headers: { 'Transfer-Encoding': 'chunked' } }],
    ['headers.expect', 'what waits for an interim response', { headers: { expect: '100-continue' } }],
    ['apiKey', 'a line break at the end of a key', { apiKey: 'sk-secret\n' }],
    ['apiKey[1]', 'such a key among others', { apiKey: ['sk-1', 'sk-secret\n'] }],
    ['apiKey[0].key', 'such a key that has a weight', { apiKey: [{ key: 'sk-secret\n', weight: 2 }] }],
    ['baseUrl', 'no URL', { baseUrl: 'nonsense' }],
    ['baseUrl', 'a URL without a host', { baseUrl: 'http://' }],
    ['baseUrl', 'a protocol that is not spoken', { baseUrl: 'ftp://llm.example' }],
    ['baseUrl', 'a user in the URL', { baseUrl: 'http://sk-secret@llm.example/v1' }],
    ['baseUrl', 'a password without a user in the URL', { baseUrl: 'http://:sk-secret@llm.example/v1' }],
    ['proxy', 'a proxy that is none of HTTP', { proxy: 'socks5://gate:sk-secret@proxy.example' }],
    ['proxy', 'a proxy without a scheme', { proxy: 'gate:sk-secret@proxy.example:3128' }],
    ['proxy', 'a switch that is on', { proxy: true }],
    ['ca', 'a path that is empty', { ca: '' }],
  ])('is refused by its name, and without its secret: %s, %s', (path, _, fields) => {
    const faults = faultsOf(fields)
    expect(faults.map((fault) => fault.path)).toEqual([`providers.x.${path}`])
    expect(faults[0]!.message).not.toBe('')
    expect(faults[0]!.message).not.toContain('sk-secret')
  })

  it('is refused with what is wrong with it', () => {
    const messages = (fields: Record<string, unknown>) => faultsOf(fields).map(({ message }) => message)
    expect(messages({ headers: { te: 'trailers' } })).toEqual(['is not a header that can be set'])
    expect(messages({ headers: { 'x-team': '€' } })).toEqual(['cannot be sent in a header (given: ********)'])
    expect(messages({ apiKey: ['sk-secret\n'] })).toEqual(['cannot be sent in a header (given: ********)'])
    expect(messages({ headers: [] })).toEqual([expect.stringContaining('expected an object')])
  })

  it('may be any header that can be sent', () => {
    const headers = {
      'X-Team': 'blåb\t1',
      authorization: 'Basic eDp5',
      host: 'llm.example',
      accept: '*/*',
      'x-none': '',
    }
    expect(load({}, JSON.stringify({ providers: { x: { type: 'openai', headers } } })).providers.x).toMatchObject({
      headers,
    })
  })
})

describe('a place below a base URL', () => {
  it.each([
    ['https://api.example/v1', 'https://api.example/v1/chat'],
    ['https://api.example/v1//', 'https://api.example/v1/chat'],
    ['https://api.example', 'https://api.example/chat'],
    ['https://a.example/openai/v1?api-version=preview', 'https://a.example/openai/v1/chat?api-version=preview'],
  ])('of %s is %s', (baseUrl, url) => {
    expect(endpointAt(baseUrl, '/chat').href).toBe(url)
  })
})
