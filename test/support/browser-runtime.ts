import { build } from 'esbuild'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import type { ClientRuntime } from './client-runtime.ts'
import type { FaultyNetwork } from './faulty-network.ts'
import type { ReportActivity, StreamDriver } from './stream-driver.ts'

/** What the entry puts into the page or the worker. */
declare const driver: StreamDriver

/** The icon keeps the browser from asking for one. */
const HTML = '<!doctype html><link rel="icon" href="data:," />'

/** A page of the gateway's own origin. `onPage` is for those who do more with it than read streams. */
export function inPage(browser: () => Browser, onPage: (page: Page) => void = () => {}): ClientRuntime {
  return {
    name: 'a page in Chromium',
    async open(network, report) {
      const page = await openPage(browser(), network, report, '<script src="/driver.js"></script>')
      onPage(page)
      return driverIn(page)
    },
  }
}

/** A worker of such a page. */
export function inWorker(browser: () => Browser): ClientRuntime {
  return {
    name: 'a worker in Chromium',
    async open(network, report) {
      const script = `<script>new Worker('/driver.js').onmessage = ({ data }) => report(...data)</script>`
      const page = await openPage(browser(), network, report, script)
      return driverIn(page.workers()[0] ?? (await page.waitForEvent('worker')))
    },
  }
}

async function openPage(browser: Browser, network: FaultyNetwork, report: ReportActivity, html: string): Promise<Page> {
  const context = await browser.newContext()
  onTestFinished(() => context.close())
  return openDriverPage(context, network, report, html)
}

/** A page with this script; the test fails if it throws anything that nobody catches, or logs an error. */
export async function openDriverPage(
  context: BrowserContext,
  network: FaultyNetwork,
  report: ReportActivity,
  script: string,
): Promise<Page> {
  network.serve('/', 'text/html; charset=utf-8', HTML + script)
  network.serve('/driver.js', 'text/javascript; charset=utf-8', await bundleDriver())
  const page = await context.newPage()
  expectNoErrors(page)
  await page.exposeFunction('report', report)
  await page.goto(network.url)
  return page
}

export function expectNoErrors(page: Page): void {
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => {
    // The browser's own word on a request that failed, which no page can keep it from saying.
    const isOfTheNetwork = message.text().startsWith('Failed to load resource: ')
    if (message.type() === 'error' && !isOfTheNetwork) errors.push(message.text())
  })
  onTestFinished(async () => {
    // Whatever was thrown has been told when the page has answered.
    if (!page.isClosed()) await page.evaluate('new Promise((resolve) => setTimeout(resolve))')
    expect(errors).toEqual([])
  })
}

export function driverIn(scope: Pick<Page, 'evaluate'>): StreamDriver {
  return {
    start: (run, request) => scope.evaluate(([started, what]) => driver.start(started, what), [run, request] as const),
    abort: (run) => scope.evaluate((aborted) => driver.abort(aborted), run),
    outcome: (run) => scope.evaluate((awaited) => driver.outcome(awaited), run),
  }
}

let bundled: Promise<string> | undefined

function bundleDriver(): Promise<string> {
  bundled ??= build({
    entryPoints: [new URL('stream-driver-entry.ts', import.meta.url).pathname],
    bundle: true,
    platform: 'browser',
    format: 'iife',
    write: false,
  }).then(({ outputFiles }) => outputFiles[0]?.text ?? '')
  return bundled
}
