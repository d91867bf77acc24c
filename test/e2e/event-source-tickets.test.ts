import { createEventSource } from 'eventsource-client'
import { EventSource } from 'eventsource'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Tickets } from '../../src/access/tickets.ts'
import { openPage } from '../support/chromium.ts'
import { Journal, startCuttingProxy } from '../support/cutting-proxy.ts'
import { startGateway } from '../support/gateway.ts'
import { startInBackground, withKeys } from '../support/keys.ts'
import { describeWith } from '../support/programs.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

/** What a source told: an event, or that it has stopped for good. */
type Report = { type: 'delta' | 'done'; id: string; content: string } | { type: 'closed' }

/** Reads a URL of this origin, as whoever has the URL and nothing else would. */
type Listen = (origin: string, url: string) => Promise<Journal<Report>>

const PAGE = `<!doctype html>
  <link rel="icon" href="data:," />
  <script>
    function listen(url) {
      const source = new EventSource(url)
      for (const type of ['delta', 'done'])
        source.addEventListener(type, ({ lastEventId, data }) =>
          report({ type, id: lastEventId, content: JSON.parse(data).content ?? '' }))
      source.addEventListener('error', () => source.readyState === EventSource.CLOSED && report({ type: 'closed' }))
    }
  </script>`

async function listenInNode(origin: string, url: string): Promise<Journal<Report>> {
  const reports = new Journal<Report>()
  const source = new EventSource(origin + url)
  onTestFinished(() => source.close())
  for (const type of ['delta', 'done'] as const)
    source.addEventListener(type, ({ lastEventId: id, data }) =>
      reports.add({ type, id, content: JSON.parse(data).content ?? '' }),
    )
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) reports.add({ type: 'closed' })
  })
  return reports
}

async function listenWithEventSourceClient(origin: string, url: string): Promise<Journal<Report>> {
  const reports = new Journal<Report>()
  const source = createEventSource({
    url: origin + url,
    // As docs/clients.md says: it looks at no status but 204.
    async fetch(...request) {
      const response = await fetch(...request)
      if (response.status >= 400 && response.status < 500) source.close()
      if (response.status === 204 || source.readyState === 'closed') reports.add({ type: 'closed' })
      return response
    },
    onMessage({ event: type, id = '', data }) {
      if (type === 'delta' || type === 'done') reports.add({ type, id, content: JSON.parse(data).content ?? '' })
    },
  })
  onTestFinished(() => source.close())
  return reports
}

function readsByTicket(listen: Listen): void {
  async function setUp() {
    const provider = new ScriptedProvider()
    const gateway = await startGateway(withKeys(), { providers: [provider] })
    let now = Date.now()
    Object.assign(gateway.services, { tickets: new Tickets([], () => now) })
    const proxy = await startCuttingProxy(gateway.url, { page: PAGE })
    const { url } = await startInBackground(gateway.url)
    const reports = await listen(proxy.url, url)
    const text = () => reports.entries.map((report) => ('content' in report ? report.content : '')).join('')
    /** Everything that was asked, which always names the ticket. */
    const asked = () =>
      proxy.requests.entries
        .filter(({ path }) => path !== '/')
        .map(({ path, lastEventId, status }) => [path === url, lastEventId, status])
    return {
      run: await provider.nextRun(),
      proxy,
      reports,
      asked,
      reads: (expected: string) => reports.until(() => text() === expected),
      closed: () => reports.until((all) => all.some(({ type }) => type === 'closed')),
      expire: () => void (now += 2 * 3_600_000),
    }
  }

  it('reads the `url` of a 202 to its end, over a cut, and stops', async () => {
    const { run, proxy, reports, asked, reads, closed } = await setUp()
    run.text('one ')
    await reads('one ')
    proxy.cut()
    run.text('two')
    await reads('one two')
    run.done()
    await closed()
    expect(reports.entries.map((report) => ('id' in report ? report.id : report.type))).toEqual([
      '1',
      '2',
      '3',
      'closed',
    ])
    expect(asked()).toEqual([
      [true, undefined, 200],
      [true, '1', 200],
      [true, '3', 204],
    ])
  })

  it('stops for good when it comes back with a ticket that has expired', async () => {
    const { run, proxy, asked, reads, closed, expire } = await setUp()
    run.text('one ')
    await reads('one ')
    expire()
    proxy.cut()
    await closed()
    expect(asked()).toEqual([
      [true, undefined, 200],
      [true, '1', 401],
    ])
  })
}

describe('the npm package eventsource', () => readsByTicket(listenInNode))

describe('the npm package eventsource-client', () => readsByTicket(listenWithEventSourceClient))

describeWith('chromium', 'the EventSource of a browser', (program) =>
  readsByTicket(async (origin, url) => {
    const { page, reports } = await openPage<Report>(program, origin)
    await page.evaluate(`listen(${JSON.stringify(url)})`)
    return reports
  }),
)
