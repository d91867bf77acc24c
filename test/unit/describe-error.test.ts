import { describe, expect, it } from 'vitest'
import { SluiceError } from '../../src/errors.ts'
import { withPeer } from '../../src/peers.ts'
import { maskedTexts } from '../../src/mask-config.ts'
import { describeCause, errorDescriber } from '../../src/telemetry/describe-error.ts'

const failure = (cause: unknown) =>
  new SluiceError('upstream_unreachable', 'The upstream cannot be reached.', { cause })
const AT = new URL('http://[::1]/v1?key=secret')

describe('describeCause', () => {
  it('finds errno and server along the chain of causes', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:80'), {
      code: 'ECONNREFUSED',
      address: '10.0.0.1',
    })
    const fetching = new TypeError('fetch failed', { cause: withPeer(refused, AT) })
    expect(describeCause(failure(fetching))).toEqual({
      type: 'TypeError',
      errno: 'ECONNREFUSED',
      host: '::1',
      port: 80,
      address: '10.0.0.1',
    })
  })

  it('takes no text of a plugin for a code, an address or a port', () => {
    const texts = { code: 'the prompt', address: 'the prompt', port: 'the prompt', host: 'the prompt' }
    expect(describeCause(failure(Object.assign(new Error('the prompt'), texts)))).toBeUndefined()
  })

  it('survives properties that throw, and causes that go in a circle', () => {
    const hostile = Object.defineProperty(new Error('no'), 'cause', {
      get: () => {
        throw new Error('the prompt')
      },
    })
    expect(describeCause(failure(hostile))).toBeUndefined()
    const circle = Object.assign(new Error('no'), { code: 'EPIPE' })
    circle.cause = circle
    expect(describeCause(failure(circle))).toEqual({ errno: 'EPIPE' })
  })

  it('is nothing for a failure without a cause', () => {
    expect(describeCause(failure(undefined))).toBeUndefined()
  })
})

describe('the message of an unexpected error at debug level', () => {
  const describeAtDebug = errorDescriber({ isLevelEnabled: () => true }, () => ['key-1', 'key-1-and-more'])

  it('holds no secret, and nothing that a terminal obeys', () => {
    expect(describeAtDebug(new Error('a key-1-and-more, a key-1\n\u001b[2J')).message).toBe(
      'a ********, a ******** [2J',
    )
  })

  it('is that of a thrown text, and cut where it is long', () => {
    expect(describeAtDebug('no').message).toBe('no')
    expect(describeAtDebug(new Error('x'.repeat(5000))).message).toHaveLength(1000)
    expect(describeAtDebug({}).message).toBeUndefined()
  })
})

it('knows the secrets of a configuration by what is masked in it', () => {
  const config = {
    port: 1,
    keys: [{ name: 'app', key: 'slk_1234' }],
    redisUrl: 'redis://me:pass@host:1',
    url: 'http://a.example?k=12345',
  }
  const masked = {
    port: 1,
    keys: [{ name: 'app', key: '********' }],
    redisUrl: '********',
    url: 'http://a.example?k=********',
  }
  expect(maskedTexts(config, masked)).toEqual(expect.arrayContaining(['slk_1234', 'pass', '12345']))
  expect(maskedTexts(config, masked)).not.toContain('app')
})
