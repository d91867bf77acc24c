import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makeFolder, ROOT, startSluice } from '../support/process.ts'
import { open } from '../support/reader.ts'

/** Starts the built program in a shell that redirects its output; `exec` makes it the child itself. */
async function spawnIn(shell: string, env: Record<string, string> = {}): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', shell], {
    cwd: await makeFolder(),
    env: { PATH: process.env.PATH, PORT: '0', DRAIN_MS: '1000', SLUICE: join(ROOT, 'dist/src/main.js'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** The program's URL, from its startup message. */
async function urlFrom(output: Readable): Promise<string> {
  let said = ''
  for await (const chunk of output.iterator({ destroyOnReturn: false })) {
    said += String(chunk)
    const [url] = /http:\/\/[\d.]+:\d+/.exec(said) ?? []
    if (url !== undefined) return url
  }
  throw new Error(`It ended, and said: ${said}`)
}

/** Makes the program log more than any pipe holds. */
async function fillLog(url: string): Promise<void> {
  const path = `/nothing/${'x'.repeat(8000)}`
  for (let i = 0; i < 100; i++) expect((await open(url + path)).status).toBe(404)
}

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return String(port)
}

const isUp = (url: string) => async () =>
  open(`${url}/healthz`).then(
    ({ status }) => status,
    () => undefined,
  )

describe('shutdown with unread output', () => {
  it('ends with a full log pipe', async () => {
    const fifo = join(await makeFolder(), 'fifo')
    execFileSync('mkfifo', [fifo])
    const sluice = await spawnIn('exec 3<>"$FIFO"; exec node "$SLUICE" >&3', { FIFO: fifo })
    await fillLog(await urlFrom(sluice.stderr!))
    sluice.kill('SIGTERM')
    expect(await once(sluice, 'exit')).toEqual([0, null])
  })

  it('ends at once on a second signal with a full log pipe', async () => {
    const sluice = await spawnIn('exec node "$SLUICE"', { DRAIN_MS: '3600000' })
    const url = await urlFrom(sluice.stderr!)
    await fillLog(url)
    const body = { messages: [{ role: 'user', content: 'hi' }], mock: { stall_at: 1 } }
    await open(`${url}/v1/chat`, { method: 'POST', body })
    sluice.kill('SIGTERM')
    await expect.poll(async () => (await open(`${url}/readyz`)).status).toBe(503)
    sluice.kill('SIGTERM')
    expect(await once(sluice, 'exit')).toEqual([1, null])
  })

  it('ends when the reader of the log pipe has gone', async () => {
    const sluice = await spawnIn('exec node "$SLUICE"')
    const url = await urlFrom(sluice.stderr!)
    sluice.stdout!.destroy()
    await fillLog(url)
    sluice.kill('SIGTERM')
    expect(await once(sluice, 'exit')).toEqual([0, null])
  })

  it('ends with a closed stdout', async () => {
    const sluice = await spawnIn('exec node "$SLUICE" >&-')
    await fillLog(await urlFrom(sluice.stderr!))
    sluice.kill('SIGTERM')
    expect(await once(sluice, 'exit')).toEqual([0, null])
  })

  it('ends with a closed stderr', async () => {
    const sluice = await spawnIn('exec node "$SLUICE" 2>&-')
    await urlFrom(sluice.stdout!)
    sluice.kill('SIGTERM')
    expect(await once(sluice, 'exit')).toEqual([0, null])
  })

  it('ends when the reader of all output has gone before the first line', async () => {
    const port = await freePort()
    const sluice = await spawnIn('exec node "$SLUICE" 2>&1', { PORT: port })
    sluice.stdout!.destroy()
    const url = `http://127.0.0.1:${port}`
    await expect.poll(isUp(url), { timeout: 10_000 }).toBe(200)
    await fillLog(url)
    sluice.kill('SIGTERM')
    expect(await once(sluice, 'exit')).toEqual([0, null])
  })

  it('ends with a full disk', async () => {
    const sluice = await spawnIn('exec node "$SLUICE" >/dev/full')
    await fillLog(await urlFrom(sluice.stderr!))
    sluice.kill('SIGTERM')
    expect(await once(sluice, 'exit')).toEqual([0, null])
  })
})

describe('output that is read', () => {
  const fill = async (url: string) => void (await Promise.all(Array.from({ length: 3 }, () => fillLog(url))))

  it('loses no log line to a pipe', async () => {
    const sluice = await startSluice()
    await fill(sluice.url)
    sluice.kill('SIGTERM')
    expect(await sluice.exited).toBe(0)
    expect(sluice.lines.entries.filter(({ msg }) => msg === 'request')).toHaveLength(300)
    expect(sluice.lines.entries.at(-1)).toMatchObject({ msg: 'stopped' })
  })

  it('loses no line to a reader that starts reading at shutdown', async () => {
    const sluice = await spawnIn('exec node "$SLUICE"')
    await fill(await urlFrom(sluice.stderr!))
    sluice.kill('SIGTERM')
    const lines = (await text(sluice.stdout!)).trimEnd().split('\n')
    expect(lines.filter((line) => line.includes('"msg":"request"'))).toHaveLength(300)
    expect(lines.at(-1)).toContain('"msg":"stopped"')
  })

  it.each(['--help', '--print-config'])('ends with 0 when the reader closes the pipe early: %s', async (option) => {
    const sluice = await spawnIn(`exec node "$SLUICE" ${option}`)
    sluice.stdout!.destroy()
    expect(await once(sluice, 'exit')).toEqual([0, null])
  })
})
