import { channel } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chat } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

it('a reader whose last bytes wait in its socket gets them before the gateway stops', async () => {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({}, { providers: [provider] })
  let socket: Socket | undefined
  const remember = (message: unknown) => (socket = (message as { socket: Socket }).socket)
  channel('http.server.request.start').subscribe(remember)
  onTestFinished(() => {
    channel('http.server.request.start').unsubscribe(remember)
  })

  const reader = await chat(gateway.url, { model: 'scripted' }, { paused: true })
  const run = await provider.nextRun()
  let text = ''
  for (; socket!.writableLength === 0; await nextTurn()) {
    run.text('y'.repeat(3000))
    text += 'y'.repeat(3000)
  }
  run.done()
  await gateway.services.generations.idle()
  await nextTurn()
  const drained = gateway.drain()
  await expect.poll(() => gateway.logs.map(({ msg }) => msg)).toContain('draining')
  for (let turn = 0; turn < 10; turn++) await nextTurn()
  reader.resume()
  await reader.end()
  await drained
  expect(reader.text).toBe(text)
  expect(reader.dones).toMatchObject([{ finish_reason: 'stop' }])
  expect(reader.complete).toBe(true)
})
