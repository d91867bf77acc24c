import { expect, it } from 'vitest'
import { openPage } from '../support/chromium.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import { startGateway } from '../support/gateway.ts'
import { servePage } from '../support/page-server.ts'
import { describeWith } from '../support/programs.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

type Report =
  | { type: 'text'; content: string }
  | { type: 'end'; reason: string }
  | { type: 'refused'; status: number; code: string; message: string }
  | { type: 'error'; code: string; message: string }

const PAGE = `<!doctype html>
  <link rel="icon" href="data:," />
  <script type="module">
    import { createClient } from '/client/index.js'
    window.start = async (baseUrl, body) => {
      const client = createClient({ baseUrl, backoff: () => 0, maxAttempts: 2 })
      window.stream = client.chat({ messages: [{ role: 'user', content: 'hi' }], ...body })
      try {
        for await (const event of stream) if (event.type === 'delta') report({ type: 'text', content: event.content })
        report({ type: 'end', reason: (await stream.final()).finish_reason })
      } catch ({ code, status, message }) {
        report(status ? { type: 'refused', status, code, message } : { type: 'error', code, message })
      }
    }
    window.cancel = () => stream.cancel()
  </script>`

describeWith('chromium', 'a page of another origin, in a browser', (program) => {
  async function setUp(allowed: boolean) {
    const origin = await servePage(PAGE)
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ corsOrigin: allowed ? [origin] : [] }, { providers: [provider] })
    const proxy = await startCuttingProxy(gateway.url)
    const { page, reports } = await openPage<Report>(program, origin)
    const start = (body: object) => page.evaluate(`void start(${JSON.stringify(proxy.url)}, ${JSON.stringify(body)})`)
    const text = () => reports.entries.map((report) => (report.type === 'text' ? report.content : '')).join('')
    return { origin, provider, proxy, page, reports, start, text }
  }

  it('chats with the SDK, resumes after a cut, and cancels', async () => {
    const { provider, proxy, page, reports, start, text } = await setUp(true)
    await start({ model: 'scripted' })
    const run = await provider.nextRun()
    run.text('one ')
    await reports.until(() => text() === 'one ')
    proxy.cut()
    run.text('two ')
    await reports.until(() => text() === 'one two ')
    await page.evaluate('cancel()')
    await run.aborted
    const entries = await reports.until((all) => all.at(-1)?.type !== 'text')
    expect(entries.at(-1)).toStrictEqual({ type: 'end', reason: 'cancelled' })
    expect(text()).toBe('one two ')
    const asked = proxy.requests.entries.filter(({ method }) => method !== 'OPTIONS')
    expect(asked.map(({ method, lastEventId, status }) => [method, lastEventId, status])).toStrictEqual([
      ['POST', undefined, 200],
      ['GET', '1', 200],
      ['DELETE', undefined, 204],
    ])
  })

  it('is told what is wrong with its request', async () => {
    const { reports, start } = await setUp(true)
    await start({ model: 'no-such-model' })
    await reports.until((all) => all.length === 1)
    expect(reports.entries).toMatchObject([{ type: 'refused', status: 404, code: 'unknown_model' }])
  })

  it('gets nothing, starts nothing and is told why, when its origin is not allowed', async () => {
    const { origin, provider, proxy, reports, start } = await setUp(false)
    await start({ model: 'scripted' })
    await reports.until((all) => all.length === 1)
    const message = `The gateway at ${proxy.url}/ is unreachable, or does not allow pages of ${origin} (CORS_ORIGIN)`
    expect(reports.entries).toMatchObject([
      { type: 'error', code: 'unreachable', message: expect.stringContaining(message) },
    ])
    expect(proxy.requests.entries.every(({ method }) => method === 'OPTIONS')).toBe(true)
    expect(provider.runs).toStrictEqual([])
  })
})
