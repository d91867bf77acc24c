import { describe, expect, it } from 'vitest'
import { readProblem } from '../../src/client/client-error.ts'

describe('an answer with an error status', () => {
  it('is a problem of the gateway, with all its fields', async () => {
    const body = {
      status: 400,
      code: 'invalid_request',
      detail: 'It is wrong.',
      retryable: false,
      errors: [{ path: 'messages', message: 'is missing' }, { odd: true }, null],
    }
    expect(await readProblem(Response.json(body, { status: 400 }))).toMatchObject({
      name: 'SluiceClientError',
      code: 'invalid_request',
      message: 'It is wrong.',
      status: 400,
      retryable: false,
      faults: [{ path: 'messages', message: 'is missing' }],
      retryAfterMs: undefined,
    })
  })

  it.each([
    [400, false],
    [401, false],
    [404, false],
    [408, true],
    [425, true],
    [429, true],
    [500, true],
    [501, false],
    [502, true],
    [503, true],
    [504, true],
    [505, false],
  ])('of somebody else is known by its status: %i', async (status, retryable) => {
    for (const body of ['<h1>Sorry</h1>', '[]', 'null', '{"code":1,"detail":2,"retryable":3,"errors":4}', ''])
      expect(await readProblem(new Response(body, { status }))).toMatchObject({
        code: `http_${status}`,
        message: expect.stringContaining(`answered with status ${status}`),
        status,
        retryable,
        faults: undefined,
      })
  })

  it('of somebody else names the address, without a ticket, and what to look at', async () => {
    const response = new Response('', { status: 404 })
    Object.defineProperty(response, 'url', { value: 'http://localhost:5173/v1/streams/str_1?ticket=secret' })
    expect((await readProblem(response)).message).toBe(
      'http://localhost:5173/v1/streams/str_1 answered with status 404. Is `baseUrl` a gateway?',
    )
  })

  it('need not have a body that can be read', async () => {
    const body = new ReadableStream({ start: (controller) => controller.error(new Error('cut')) })
    expect(await readProblem(new Response(body, { status: 503 }))).toMatchObject({ code: 'http_503' })
  })

  it.each([
    ['3', 3000],
    ['0', 0],
    ['soon', undefined],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ])('may ask for patience: Retry-After: %s', async (value, retryAfterMs) => {
    const response = new Response('', { status: 503, headers: { 'retry-after': value } })
    expect(await readProblem(response)).toMatchObject({ retryAfterMs })
  })

  it('may ask for patience until a date', async () => {
    const inAMinute = new Date(Date.now() + 60_000).toUTCString()
    const response = new Response('', { status: 503, headers: { 'retry-after': inAMinute } })
    const { retryAfterMs = 0 } = await readProblem(response)
    expect(retryAfterMs).toBeGreaterThan(0)
    expect(retryAfterMs).toBeLessThanOrEqual(60_000)
  })
})
