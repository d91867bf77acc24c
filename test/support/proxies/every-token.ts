import { expect } from 'vitest'
import { chat, type Reader } from '../reader.ts'
import type { ScriptedProvider } from '../scripted-provider.ts'

/** Reads 50 tokens behind a proxy. Each is sent once its predecessor has arrived: a proxy that buffers stalls the reader. */
export async function expectEveryToken(provider: ScriptedProvider, url: string): Promise<Reader> {
  const reader = await chat(url, { model: 'scripted' })
  const run = await provider.nextRun()
  for (let count = 1; count <= 50; count++) {
    run.text(`${count} `)
    await reader.until(({ messages }) => messages.length === count)
  }
  run.done()
  await reader.end()
  expect(reader.ids).toStrictEqual(Array.from({ length: 51 }, (_, index) => index + 1))
  expect(reader.dones).toMatchObject([{ finish_reason: 'stop' }])
  expect(reader.complete).toBe(true)
  return reader
}
