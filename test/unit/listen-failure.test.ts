import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { describeListenFailure } from '../../src/http/listen-failure.ts'

const settings = { host: 'HOST', port: 'PORT' }

async function failureOf(host: string, port: number) {
  const server = createServer().listen(port, host)
  const [error]: unknown[] = await once(server, 'error')
  return describeListenFailure(error, { host, port, settings })
}

async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

it.each<[what: string, host: string, port: () => number | Promise<number>, path: string, words: string]>([
  ['a port that is taken', '127.0.0.1', takenPort, 'PORT', '(EADDRINUSE); set PORT to another one'],
  ['an address of another machine', '192.0.2.1', () => 0, 'HOST', '192.0.2.1 is not an address of this machine'],
  ['a host that there is not', 'nowhere.invalid', () => 0, 'HOST', 'there is no host nowhere.invalid'],
])('names the setting to change, and why: %s', async (_, host, port, path, words) => {
  expect(await failureOf(host, await port())).toEqual({ path, message: expect.stringContaining(words) })
})

it('names the privilege that a port needs, and gives any other reason as it is', () => {
  const describe = (error: Error) => describeListenFailure(error, { host: '127.0.0.1', port: 80, settings })
  expect(describe(Object.assign(new Error('no'), { code: 'EACCES' })).message).toContain('may not listen on port 80')
  expect(describe(new Error('out of luck'))).toEqual({
    path: 'PORT',
    message: 'cannot listen on port 80 of 127.0.0.1: out of luck',
  })
})
