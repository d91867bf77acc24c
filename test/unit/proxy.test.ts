import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { proxyFromEnvironment, toProxy } from '../../providers/transport/proxy.ts'
import { ConfigError } from '../../src/errors.ts'

const find = (url: string, environment: Record<string, string>) => proxyFromEnvironment(new URL(url), environment)?.name

describe('the proxy that the environment names', () => {
  it.each<[url: string, environment: Record<string, string>, proxy: string | undefined]>([
    ['https://a.test', {}, undefined],
    ['https://a.test', { HTTPS_PROXY: 'http://p:3128' }, 'http://p:3128'],
    ['https://a.test', { HTTP_PROXY: 'http://p:3128' }, undefined],
    ['http://a.test', { HTTPS_PROXY: 'http://p:3128' }, undefined],
    ['http://a.test', { HTTP_PROXY: 'http://p:3128' }, 'http://p:3128'],
    ['http://a.test', { HTTP_PROXY: 'http://p', http_proxy: 'http://q' }, 'http://q'],
    ['http://a.test', { HTTP_PROXY: 'http://p', http_proxy: '' }, 'http://p'],
    ['http://a.test', { HTTP_PROXY: ' p:3128 ' }, 'http://p:3128'],
    ['http://a.test', { HTTP_PROXY: 'https://user:word@p' }, 'https://p'],
    ['http://localhost', { HTTP_PROXY: 'http://p' }, undefined],
    ['http://LOCALHOST.:8000', { HTTP_PROXY: 'http://p' }, undefined],
    ['http://127.0.0.1:11434', { HTTP_PROXY: 'http://p' }, undefined],
    ['http://[::1]:11434', { HTTP_PROXY: 'http://p' }, undefined],
    ['http://[0:0::1]:11434', { HTTP_PROXY: 'http://p' }, undefined],
    ['http://10.0.0.1', { HTTP_PROXY: 'http://p' }, 'http://p'],
  ])('for %s with %j is %s', (url, environment, proxy) => {
    expect(find(url, environment)).toBe(proxy)
  })

  it.each<[url: string, exceptions: string, excepted: boolean]>([
    ['http://a.test', '*', true],
    ['http://a.test', 'b.test,a.test', true],
    ['http://a.test', 'b.test a.test', true],
    ['http://A.test.', 'a.TEST', true],
    ['http://a.test', 'a.test.', true],
    ['http://x.a.test', 'a.test', true],
    ['http://x.a.test', '.a.test', true],
    ['http://x.a.test', '*.a.test', true],
    ['http://xa.test', 'a.test', false],
    ['http://a.test.org', 'a.test', false],
    ['http://a.test', 'a.test:80', true],
    ['https://a.test', 'a.test:443', true],
    ['http://a.test:8000', 'a.test:80', false],
    ['http://a.test:8000', 'a.test:8000', true],
    ['http://10.1.2.3', '10.1.2.3', true],
    ['http://10.1.2.3', '10.0.0.0/8', true],
    ['http://11.1.2.3', '10.0.0.0/8', false],
    ['http://10.1.2.3', '10.0.0.0/33', false],
    ['http://10.1.2.3', '10.0.0.0/x', false],
    ['http://10.1.2.3', '2.3', false],
    ['http://10.1.2.3:9', '10.1.2.3:9', true],
    ['http://10.1.2.3:9', '10.1.2.3:8', false],
    ['http://[fd00::1]', 'fd00::1', true],
    ['http://[fd00::1]', 'fd00:0::1', true],
    ['http://[fd00::1]:9', '[fd00::1]:9', true],
    ['http://[fd00::1]:9', '[fd00::1]:8', false],
    ['http://[fd00::1]', 'fd00::/8', true],
    ['http://[fe00::1]', 'fd00::/8', false],
    ['http://a.test', '', false],
    ['http://a.test', ' ,, .', false],
  ])('does not serve %s when NO_PROXY is %j: %s', (url, exceptions, excepted) => {
    expect(find(url, { HTTP_PROXY: 'http://p', HTTPS_PROXY: 'http://p', NO_PROXY: exceptions })).toBe(
      excepted ? undefined : 'http://p',
    )
  })

  it('is found whatever NO_PROXY holds', () => {
    fc.assert(
      fc.property(fc.string(), fc.webUrl(), (exceptions, url) => {
        const found = find(url, { HTTP_PROXY: 'http://p', HTTPS_PROXY: 'http://p', NO_PROXY: exceptions })
        expect(['http://p', undefined]).toContain(found)
      }),
    )
  })

  it.each(['socks5://p:1080', 'http://', 'http://%zz', 'http://us%er@p'])('is refused by its variable: %s', (value) => {
    const refusal = () => find('https://a.test', { https_proxy: value })
    expect(refusal).toThrow(ConfigError)
    expect(refusal).toThrow(/^https_proxy: is not the URL of an HTTP proxy/)
  })
})

it('the credentials of a proxy are in its header only, and secret', () => {
  const token = Buffer.from('us er:p@ss').toString('base64')
  expect(toProxy('http://us%20er:p%40ss@p:3128')).toMatchObject({
    name: 'http://p:3128',
    headers: { 'proxy-authorization': `Basic ${token}` },
    secrets: [token, 'p@ss'],
  })
  expect(toProxy('http://p:3128')).toMatchObject({ headers: {}, secrets: [] })
})
