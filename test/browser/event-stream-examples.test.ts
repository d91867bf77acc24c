import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Koa from 'koa'
import { expect, it, onTestFinished } from 'vitest'
import { eventStream, type SourceFunction } from '../../src/sse/index.ts'
import { openPage } from '../support/chromium.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import { describeWith } from '../support/programs.ts'
import { ROOT } from '../support/process.ts'

interface Report {
  type: 'open' | 'error' | 'message' | 'update' | 'end' | 'headline'
  data: string
  id: string
  readyState: number
}

const CLOSED = 2

const PAGE = `<!doctype html>
  <link rel="icon" href="data:," />
  <script>
    const source = new EventSource('/events')
    for (const name of ['open', 'error', 'message', 'update', 'end', 'headline'])
      source.addEventListener(name, ({ type, data = '', lastEventId: id = '' }) => {
        report({ type, data, id, readyState: source.readyState })
      })
  </script>`

/** Loaded from its file, as an app loads it. */
async function load(file: string): Promise<SourceFunction> {
  const exports: Record<string, SourceFunction> = await import(join(ROOT, 'examples/event-streams', file))
  return Object.values(exports)[0]!
}

/** A Koa app with this source, behind a network that can be cut, read by a page. */
async function show(program: string, file: string) {
  const source = await load(file)
  let running = 0
  const app = new Koa()
  app.use((ctx) =>
    eventStream(
      ctx,
      async function* counted(signal, lastEventId) {
        running += 1
        try {
          yield* source(signal, lastEventId)
        } finally {
          running -= 1
        }
      },
      { retry: 10 },
    ).catch((error: unknown) => expect(error).toBeUndefined()),
  )
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const proxy = await startCuttingProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { page: PAGE })
  const { page, reports } = await openPage<Report>(program, proxy.url)
  const events = () => reports.entries.filter(({ type }) => type !== 'open' && type !== 'error')
  const untilEvents = (count: number) => reports.until(() => events().length >= count)
  return { page, proxy, reports, events, untilEvents, running: () => running }
}

describeWith('chromium', 'the examples of event streams, in a browser', (program) => {
  it.each(['price-tracker.js', 'random-messages.js'])('%s goes on after a cut without a gap', async (file) => {
    const { proxy, reports, events, untilEvents } = await show(program, file)
    for (const times of [1, 2, 3]) {
      await reports.until((all) => all.filter(({ type }) => type === 'open').length === times)
      await untilEvents(events().length + 2)
      if (times < 3) proxy.cut()
    }
    const ids = events().map(({ id }) => Number(id))
    expect(ids).toEqual(ids.map((_, index) => index + 1))
    expect(proxy.requests.entries.map(({ lastEventId }) => lastEventId)).toEqual([
      undefined,
      expect.stringMatching(/^\d+$/),
      expect.stringMatching(/^\d+$/),
    ])
  })

  it('temperature.js arrives measurement after measurement', async () => {
    const { events, untilEvents } = await show(program, 'temperature.js')
    await untilEvents(100)
    expect(events().every(({ type, data }) => type === 'message' && /^-?\d+\.\d\d$/.test(data))).toBe(true)
  })

  it('job-status.js sends changes only, and the browser does not come back after the end', async () => {
    const { proxy, reports, events } = await show(program, 'job-status.js')
    await reports.until((all) => all.at(-1)?.readyState === CLOSED)
    expect(events().map(({ type, data }) => [type, data])).toEqual([
      ['update', '{"status":"queued"}'],
      ['update', '{"status":"running"}'],
      ['update', '{"status":"finished"}'],
      ['end', ''],
    ])
    expect(proxy.requests.entries.map(({ status, lastEventId }) => [status, lastEventId])).toEqual([
      [200, undefined],
      [204, '#last'],
    ])
  })

  it('news.js has events with and without a name', async () => {
    const { events, untilEvents } = await show(program, 'news.js')
    await untilEvents(9)
    const [first, second, third] = events()
    expect([first?.type, second?.type, third?.type]).toEqual(['message', 'headline', 'message'])
    expect([first?.data, JSON.parse(second?.data ?? '')]).toEqual([
      "It is 0 o'clock.",
      { title: 'Nothing has happened', hour: 0 },
    ])
  })

  it.each(['price-tracker.js', 'random-messages.js', 'temperature.js', 'news.js'])(
    '%s ends when its reader has left',
    async (file) => {
      const { page, untilEvents, running } = await show(program, file)
      await untilEvents(1)
      expect(running()).toBe(1)
      await page.close()
      await expect.poll(running).toBe(0)
    },
  )

  it('server.js serves all of them, and a page that shows them', async () => {
    const server = spawn(process.execPath, [join(ROOT, 'examples/event-streams/server.js')], {
      env: { PATH: process.env.PATH, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void server.kill())
    const [url] = (await once(createInterface(server.stdout), 'line')) as [string]
    const { page } = await openPage(program, url)
    const lines = async () => (await page.locator('p').allInnerTexts()).map((line) => /^\/\w+ .*:/.test(line))
    await expect.poll(lines).toEqual([true, true, true, true, true])
  })
})
