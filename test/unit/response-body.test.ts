import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { openBody, Payload } from '../../src/sse/response-body.ts'

const LONG = `first|${'é'.repeat(5000)}|last`

it.each([
  { sent: 'short text', whole: 'first|last', http: '1.1' },
  { sent: 'long text', whole: LONG, http: '1.1' },
  { sent: 'long text without chunks', whole: LONG, http: '1.0' },
])('the tail of a $sent is sent as its bytes', async ({ whole, http }) => {
  const server = createServer((_, response) => {
    response.useChunkedEncodingByDefault = http === '1.1'
    const write = openBody(response, () => {})
    const payload = new Payload(whole)
    for (const each of [payload, payload.tail(6), payload.tail(7)]) write(each)
    response.end()
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}/`)
  expect(await response.text()).toBe(whole + whole.slice(6) + whole.slice(7))
})
