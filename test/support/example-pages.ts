import { readdir, readFile } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import type { Config } from '../../src/config.ts'
import { expectNoErrors } from './browser-runtime.ts'
import { FaultyNetwork } from './faulty-network.ts'
import { startGateway } from './gateway.ts'
import { ROOT } from './process.ts'
import { ScriptedProvider } from './scripted-provider.ts'

const TYPES: Record<string, string> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8' }

/** A gateway whose answers the test gives, and a network that serves pages of its origin. */
export async function startForPages(settings: Partial<Config> = {}) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({ defaultModel: 'scripted', ...settings }, { providers: [provider] })
  return { provider, network: await FaultyNetwork.start(gateway.url) }
}

/** Serves what is in a folder, of the checkout or elsewhere, as a web server would. */
export async function serveFolder(network: FaultyNetwork, path: string, folder: string): Promise<void> {
  for (const name of await readdir(resolve(ROOT, folder))) {
    const type = TYPES[extname(name)]
    if (type) network.serve(`${path}/${name}`, type, await readFile(join(resolve(ROOT, folder), name), 'utf8'))
  }
}

/**
 * Gone with the test, which fails if anything was thrown there that nobody caught, or logged as an error. `first` runs
 * before the page's own scripts.
 */
export async function visit(browser: Browser, url: string, first = ''): Promise<Page> {
  const context = await browser.newContext()
  onTestFinished(() => context.close())
  const page = await context.newPage()
  expectNoErrors(page)
  await page.addInitScript(first)
  await page.goto(url)
  return page
}
