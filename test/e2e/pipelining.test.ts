import { connect } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

const body = JSON.stringify({ model: 'scripted', messages: [{ role: 'user', content: 'hi' }] })
const request = `POST /v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`

it('a client that goes takes with it the streams that wait for their turn on its connection', async () => {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({ resumeWindowMs: 20 }, { providers: [provider] })
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.write(request + request)
  const [first, second] = [await provider.nextRun(), await provider.nextRun()]
  const open = () => gateway.metric('sluice_connections_open{protocol="native"}')
  await expect.poll(open).toBe(2)
  socket.destroy()
  await Promise.all([first.aborted, second.aborted])
  await expect.poll(open).toBe(0)
  const ends = () => gateway.logs.filter(({ msg }) => msg === 'request').map(({ ended }) => ended)
  await expect.poll(ends).toEqual(['disconnected', 'disconnected'])
})
