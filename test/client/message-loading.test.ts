import { expect, it, onTestFinished, vi } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { clientOf, forbidUnhandledRejections, HI } from './harness.ts'

forbidUnhandledRejections()

/** The rules of messages, which cannot be loaded so many times. */
function failToLoad(times: number): void {
  let tries = 0
  vi.doMock('../../src/client/message.ts', async (importOriginal) => {
    tries += 1
    if (tries <= times) throw new Error('offline')
    return importOriginal()
  })
  onTestFinished(() => {
    vi.doUnmock('../../src/client/message.ts')
  })
}

const BODY = { ...HI, mock: { text: 'a b', interval_ms: 1 } }

it('a message whose rules could not be loaded at first is whole in the end', async () => {
  failToLoad(1)
  const stream = clientOf(await startGateway()).chat(BODY)
  expect((await stream.final()).message).toEqual({ role: 'assistant', content: 'a b' })
})

it('a message whose rules cannot be loaded is a rejection of `final` alone', async () => {
  failToLoad(Infinity)
  const stream = clientOf(await startGateway()).chat(BODY)
  await expect(stream.final()).rejects.toThrow()
  expect(await stream.text()).toBe('a b')
})
