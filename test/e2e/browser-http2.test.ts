import { expect, it, vi } from 'vitest'
import { openPage } from '../support/chromium.ts'
import { startGateway } from '../support/gateway.ts'
import { serveHttp2 } from '../support/http2-app.ts'
import { describeWith } from '../support/programs.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { TLS } from '../support/tls.ts'

interface Report {
  stream: string
  type: 'text' | 'end' | 'broken'
  content: string
}

/** For a page of the gateway's own origin: streams with `fetch`, as the SDK does, and with `EventSource`. */
const SCRIPT = `
  const body = JSON.stringify({ model: 'scripted', messages: [{ role: 'user', content: 'hi' }] })
  const headers = { 'content-type': 'application/json' }
  async function readWithFetch(stream) {
    const response = await fetch('/v1/chat', { method: 'POST', headers, body })
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return report({ stream, type: 'end', content: '' })
        text += value
        const frames = text.split('\\n\\n')
        text = frames.pop()
        for (const frame of frames) {
          const [, data] = /^event: delta\\ndata: (.*)$/m.exec(frame) ?? []
          if (data) report({ stream, type: 'text', content: JSON.parse(data).content })
        }
      }
    } catch {
      report({ stream, type: 'broken', content: '' })
    }
  }
  async function readWithEventSource(stream) {
    const created = await fetch('/v1/chat', { method: 'POST', headers: { ...headers, prefer: 'respond-async' }, body })
    const source = new EventSource(created.headers.get('location'))
    source.addEventListener('delta', ({ data }) => report({ stream, type: 'text', content: JSON.parse(data).content }))
    source.addEventListener('done', () => {
      source.close()
      report({ stream, type: 'end', content: '' })
    })
  }
  const ask = async (path) => (await fetch(path)).status`

const names = (count: number) => Array.from({ length: count }, (_, position) => `stream ${position}`)

describeWith('chromium', 'a browser over HTTP/2', (program) => {
  async function setUp() {
    const provider = new ScriptedProvider()
    const { url, app } = await startGateway(TLS, { providers: [provider] })
    /** Those that any request has come on. */
    const connections = new Set<string>()
    const createContext = app.createContext.bind(app)
    vi.spyOn(app, 'createContext').mockImplementation((request, response) => {
      connections.add(`HTTP/${request.httpVersion} from ${request.socket.remotePort}`)
      return createContext(request, response)
    })
    const { page, reports } = await openPage<Report>(program, `${url}/healthz`, { ignoreHTTPSErrors: true })
    await page.addScriptTag({ content: SCRIPT })
    const expectOneConnection = () =>
      expect([...connections]).toStrictEqual([expect.stringMatching(/^HTTP\/2.0 from \d+$/)])
    const textOf = (stream: string) =>
      reports.entries.map((report) => (report.stream === stream ? report.content : '')).join('')
    const has = (text: string) => (stream: string) => textOf(stream) === text
    const ended = (type: Report['type']) => (stream: string) =>
      reports.entries.some((report) => report.stream === stream && report.type === type)
    return { provider, url, page, reports, expectOneConnection, has, ended }
  }

  it('reads thirty streams on one connection, and asks for other things meanwhile', async () => {
    const { provider, page, reports, expectOneConnection, has, ended } = await setUp()
    const streams = names(30)
    for (const [position, stream] of streams.entries())
      await page.evaluate(`void ${position % 2 ? 'readWithFetch' : 'readWithEventSource'}('${stream}')`)
    const runs = await Promise.all(streams.map(() => provider.nextRun()))
    for (const text of ['one ', 'two ']) {
      const before = text === 'one ' ? '' : 'one '
      for (const run of runs) run.text(text)
      await reports.until(() => streams.every(has(before + text)))
    }
    expect(await page.evaluate(`ask('/v1/status')`)).toBe(200)
    for (const run of runs) run.done()
    await reports.until(() => streams.every(ended('end')))
    expectOneConnection()
  })

  it('reads in twelve tabs at once', async () => {
    const { provider, url, page, reports, expectOneConnection, has } = await setUp()
    const streams = names(12)
    for (const stream of streams) {
      const tab = await page.context().newPage()
      await tab.goto(`${url}/healthz`)
      await tab.exposeFunction('report', (report: Report) => reports.add(report))
      await tab.addScriptTag({ content: SCRIPT })
      await tab.evaluate(`void readWithEventSource('${stream}')`)
    }
    const runs = await Promise.all(streams.map(() => provider.nextRun()))
    for (const run of runs) run.text('one ')
    await reports.until(() => streams.every(has('one ')))
    expect(await page.evaluate(`ask('/v1/status')`)).toBe(200)
    expectOneConnection()
  })

  it('takes a stream that is cut for broken, and goes on with the others on its connection', async () => {
    const page = `<!doctype html>
      <link rel="icon" href="data:," />
      <script>
        async function read(stream) {
          try {
            const response = await fetch(stream)
            const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
            for (;;) {
              const { done, value } = await reader.read()
              if (done) return report({ stream, type: 'end', content: '' })
              report({ stream, type: 'text', content: value })
            }
          } catch {
            report({ stream, type: 'broken', content: '' })
          }
        }
      </script>`
    let finish = () => {}
    const finished = new Promise<void>((resolve) => (finish = resolve))
    const sources = {
      async *breaks() {
        for (let id = 1; id <= 100; id++) yield { id, data: 'x'.repeat(10_000) }
        throw new Error('The source broke.')
      },
      async *lasts() {
        yield { data: 'begun' }
        await finished
        yield { data: 'finished' }
      },
    }
    const { url, sessions } = await serveHttp2(sources, { page })
    const browser = await openPage<Report>(program, url, { ignoreHTTPSErrors: true })
    const { reports } = browser
    const textOf = (stream: string) =>
      reports.entries.map((report) => (report.stream === stream ? report.content : '')).join('')
    await browser.page.evaluate(`void read('lasts')`)
    await reports.until(() => textOf('lasts').includes('begun'))
    await browser.page.evaluate(`void read('breaks')`)
    await reports.until((all) => all.some(({ type }) => type === 'broken'))
    finish()
    await reports.until((all) => all.some(({ type }) => type === 'end'))
    expect(textOf('lasts')).toContain('finished')
    expect(reports.entries.filter(({ type }) => type !== 'text')).toMatchObject([
      { stream: 'breaks', type: 'broken' },
      { stream: 'lasts', type: 'end' },
    ])
    expect([...sessions].filter(({ destroyed }) => !destroyed)).toHaveLength(1)
  })
})
