import { execFile } from 'node:child_process'
import { webcrypto } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createContext, runInContext } from 'node:vm'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createIdempotencyKey } from '../../src/client/requests.ts'
import { bundleSize } from '../support/bundle-size.ts'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { HI } from './harness.ts'

const ROOT = new URL('../..', import.meta.url)

async function bundle(format: 'esm' | 'iife'): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [new URL('src/client/index.ts', ROOT).pathname],
    bundle: true,
    minify: true,
    platform: 'browser',
    format,
    globalName: 'sluice',
    write: false,
  })
  return outputFiles[0]?.text ?? ''
}

describe('the bundle', () => {
  it.each([
    ['src/client/index.ts', 5.4],
    ['src/client/message.ts', 2.5],
    ['src/react/index.ts', 1],
  ])('%s has at most %f KiB, minified and compressed', async (entry, kib) => {
    expect(await bundleSize(entry)).toBeLessThanOrEqual(kib * 1024)
    expect(await readFile(new URL('docs/client.md', ROOT), 'utf8')).toContain(`| ${kib.toFixed(1)} | `)
  })

  it('needs nothing of Node: web standards are enough', async () => {
    const gateway = await startGateway()
    const network = await FaultyNetwork.start(gateway.url)
    network.plan({ cut: { bytes: 0 } }, { cut: { frames: 1 } })
    const { fetch, Request, AbortController, AbortSignal, TextDecoder, ReadableStream } = globalThis
    const web = { fetch, Request, AbortController, AbortSignal, TextDecoder, ReadableStream, console, performance }
    const context = createContext({ ...web, crypto: webcrypto, setTimeout, clearTimeout })
    runInContext(await bundle('iife'), context)
    const script = `
      const client = sluice.createClient({ baseUrl: ${JSON.stringify(network.url)}, backoff: () => 0 })
      const stream = client.chat(${JSON.stringify({ ...HI, mock: { text: 'a b c', interval_ms: 1 } })})
      stream.text()`
    expect(await runInContext(script, context)).toBe('a b c')
  })
})

describe('a process', () => {
  /** Ends only if nothing keeps it: every timer of the client would do so for good. */
  async function run(url: string, script: string): Promise<string> {
    const source = `
      import { createClient } from ${JSON.stringify(new URL('dist/src/client/index.js', ROOT).href)}
      const leave = new AbortController()
      const wire = {}
      const until = (type) => new Promise((resolve) => { wire[type] = resolve })
      const client = createClient({ baseUrl: ${JSON.stringify(url)}, heartbeatMs: Infinity, backoff: () => Infinity })
      const chat = (body = { mock: { tokens: 3, interval_ms: 1, stall_at: 2 } }) => client.chat(
        { messages: [{ role: 'user', content: 'hi' }], ...body },
        { signal: leave.signal, onActivity: (activity) => wire[activity.type]?.() },
      )
      const name = (error) => console.log(error.name)
      ${script}`
    // One that does not end is ended with its test.
    const over = new AbortController()
    onTestFinished(() => over.abort())
    const { signal } = over
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', source], { signal })
    return stdout.trim()
  }

  it.each([
    ['before the headers', 'const stream = chat(); leave.abort(); await stream.text().catch(name)'],
    ['while it streams', 'const stream = chat(); await until("frame"); leave.abort(); await stream.text().catch(name)'],
    [
      'while it waits to reconnect',
      'const stream = chat(); await until("reconnect"); leave.abort(); await stream.text().catch(name)',
    ],
  ])('ends when a stream was aborted %s', async (phase, script) => {
    const network = await FaultyNetwork.start((await startGateway()).url)
    if (phase.includes('reconnect')) network.plan({ cut: { frames: 1 } })
    if (phase.includes('headers')) network.plan({ hang: 'request' })
    expect(await run(network.url, script)).toBe('AbortError')
  })

  it('ends when a stream has ended, or was cancelled', async () => {
    const { url } = await startGateway()
    const script = `
      const streams = [chat(), chat({ mock: { tokens: 3 } })]
      await streams[0].id
      await streams[0].cancel()
      for (const stream of streams) console.log((await stream.final()).finish_reason)`
    expect(await run(url, script)).toBe('cancelled\nstop')
  })
})

describe('the idempotency key', () => {
  it('is random, without `randomUUID`', () => {
    vi.stubGlobal('crypto', {
      getRandomValues: (array: BigUint64Array<ArrayBuffer>) => webcrypto.getRandomValues(array),
    })
    onTestFinished(() => void vi.unstubAllGlobals())
    const [one, other] = [createIdempotencyKey(), createIdempotencyKey()]
    expect(one).toMatch(/^\d+-\d+$/)
    expect(one).not.toBe(other)
  })
})
