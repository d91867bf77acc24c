import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { KEY, withKeys } from '../support/keys.ts'
import { ROOT } from '../support/process.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { Journal } from '../support/cutting-proxy.ts'

/** An example that has been started, against this gateway. */
function start(url: string, ...args: string[]) {
  const env = { PATH: process.env.PATH, SLUICE_URL: url, SLUICE_KEY: KEY }
  const child = spawn(process.execPath, args, { cwd: join(ROOT, 'examples'), env, stdio: ['ignore', 'pipe', 'pipe'] })
  const written = new Journal<string>()
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => written.add(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const text = () => written.entries.join('')
  return {
    text,
    until: (expected: string) => written.until(() => text() === expected),
    leave: () => child.kill('SIGINT'),
    /** Its exit code, and what it has written to its errors. */
    ended: async () => ({ code: await exited, said }),
  }
}

async function setUp(defaultModel = 'scripted') {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({ ...withKeys(), defaultModel }, { providers: [provider] })
  return { provider, network: await FaultyNetwork.start(gateway.url) }
}

describe.each(['node.js', 'fetch.js'])('the example %s', (name) => {
  it('asks, and writes every token once, whatever is cut', async () => {
    const { provider, network } = await setUp()
    network.plan({ cut: { bytes: 0 } }, { cut: { frames: 1 } })
    const example = start(network.url, name, 'What is it?')
    const run = await provider.nextRun()
    expect(run.request.messages).toEqual([{ role: 'user', content: 'What is it?' }])
    run.text('one ')
    await example.until('one ')
    run.text('twö')
    run.done()
    expect(await example.ended()).toMatchObject({ code: 0, said: expect.stringContaining('stop') })
    expect(example.text()).toBe('one twö')
    expect(provider.runs).toHaveLength(1)
    const cursors = network.requests.entries.map(({ headers }) => headers['last-event-id'])
    expect(cursors).toEqual([undefined, undefined, '1'])
  })
})

it.each(['node.js', 'fetch.js', 'poll.js'])('the example %s says what was wrong with its request', async (name) => {
  const { network } = await setUp('no-such-model')
  const example = start(network.url, name)
  const { code, said } = await example.ended()
  expect(code).toBe(1)
  expect(said).toContain('no-such-model')
})

describe('the example node.js', () => {
  it('leaves with Ctrl-C, and comes back where it left', async () => {
    const { provider, network } = await setUp()
    const first = start(network.url, 'node.js')
    const run = await provider.nextRun()
    run.text('one ')
    await first.until('one ')
    first.leave()
    const { said } = await first.ended()
    const [, args = ''] = /Come back with (.*)/.exec(said) ?? []
    run.text('two')
    run.done()
    const second = start(network.url, 'node.js', ...args.split(' '))
    expect(await second.ended()).toMatchObject({ code: 0 })
    expect(first.text() + second.text()).toBe('one two')
  })
})

describe('the example poll.js', () => {
  it('shows the answer as it grows, without an open connection, and ends with it', async () => {
    const { provider, network } = await setUp()
    network.plan({ cut: { bytes: 0 } })
    const example = start(network.url, 'poll.js', 'What is it?')
    const run = await provider.nextRun()
    run.text('one ')
    await example.until('one ')
    run.text('twö')
    run.done()
    expect(await example.ended()).toMatchObject({ code: 0, said: expect.stringContaining('finished') })
    expect(example.text()).toBe('one twö')
    expect(provider.runs).toHaveLength(1)
  })
})
