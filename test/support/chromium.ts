import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { Journal } from './cutting-proxy.ts'

/** Those that keep it from asking the network for anything but the page. */
export const BROWSER_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A browser for many pages, to be closed by whoever asked for it. */
export function launchChromium(executablePath: string, ...args: string[]): Promise<Browser> {
  return chromium.launch({ executablePath, args: [...BROWSER_ARGUMENTS, ...args] })
}

/** A browser of its own at a page whose scripts call `report(…)` to tell the test something. */
export async function openPage<Report>(
  executablePath: string,
  url: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; reports: Journal<Report> }> {
  const browser = await launchChromium(executablePath)
  onTestFinished(() => browser.close())
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const reports = new Journal<Report>()
  await page.exposeFunction('report', (entry: Report) => reports.add(entry))
  await page.goto(url)
  return { page, reports }
}
