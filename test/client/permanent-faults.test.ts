import { createRequire } from 'node:module'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { TLS } from '../support/tls.ts'
import { clientOf, HI } from './harness.ts'

type Fetch = typeof globalThis.fetch

/** As React Native's: the whole text, and no body. */
const withoutBody: Fetch = async (input, init) => {
  const response = await fetch(input, init)
  const text = await response.text()
  return Object.defineProperties(new Response(text, response), { body: { value: undefined } })
}

/** A wrapper that looks into every body. */
const withLockedBody: Fetch = async (input, init) => {
  const response = await fetch(input, init)
  response.body?.getReader()
  return response
}

/** Its bodies are streams of Node. */
const nodeFetch: Fetch = createRequire(import.meta.url)('node-fetch')

/** Counts the requests of a client that fails. */
async function failureOf(url: string, send: Fetch) {
  let requests = 0
  const counting: Fetch = (...request) => {
    requests += 1
    return send(...request)
  }
  const error: unknown = await clientOf({ url }, { fetch: counting })
    .chat({ ...HI, mock: { text: 'a b', interval_ms: 1 } })
    .text()
    .catch((thrown: unknown) => thrown)
  return { requests, error }
}

describe('a fault that no other attempt mends is told after one request:', () => {
  it.each([
    ['no body, as in React Native', withoutBody],
    ['the bodies of node-fetch 2', nodeFetch],
    ['a body that somebody else reads', withLockedBody],
  ])('%s', async (_, send) => {
    const { url } = await startGateway()
    expect(await failureOf(url, send)).toMatchObject({
      requests: 1,
      error: { code: 'invalid_response', retryable: false, message: expect.stringContaining('body.getReader') },
    })
  })

  it('a certificate that the runtime does not trust', async () => {
    const { url } = await startGateway(TLS)
    expect(await failureOf(url, fetch)).toMatchObject({
      requests: 1,
      error: { code: 'unreachable', retryable: false, cause: { cause: { code: expect.stringContaining('CERT') } } },
    })
  })

  it('a gateway that does not speak TLS', async () => {
    const { url } = await startGateway()
    expect(await failureOf(url.replace('http:', 'https:'), fetch)).toMatchObject({
      requests: 1,
      error: { code: 'unreachable', retryable: false },
    })
  })

  it('an API that the runtime lacks, as Hermes lacks TextDecoder', async () => {
    const { url } = await startGateway()
    const { TextDecoder } = globalThis
    const lacking: Fetch = async (...request) => {
      const response = await fetch(...request)
      Reflect.deleteProperty(globalThis, 'TextDecoder')
      return response
    }
    onTestFinished(() => {
      globalThis.TextDecoder = TextDecoder
    })
    expect(await failureOf(url, lacking)).toMatchObject({
      requests: 1,
      error: { code: 'unreachable', retryable: false, cause: { message: 'TextDecoder is not defined' } },
    })
  })
})
