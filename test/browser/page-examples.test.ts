import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { startForPages, visit } from '../support/example-pages.ts'
import { ROOT } from '../support/process.ts'
import { describeWith } from '../support/programs.ts'

/** Whoever makes an `EventSource` has to close it, or it asks again. */
const REMEMBER_SOURCES = `
  globalThis.sources = []
  globalThis.EventSource = class extends EventSource {
    constructor(url) { super(url); sources.push(this) }
  }`

/** A web server of its own origin with the examples, as if the client were installed beside them; and a gateway. */
async function startElsewhere() {
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    const [, module] = /^\/node_modules\/@sluice\/client\/dist\/([\w/-]+\.js)$/.exec(path) ?? []
    response.setHeader('content-type', path.endsWith('.html') ? 'text/html' : 'text/javascript')
    readFile(module ? join(ROOT, 'dist/src', module) : join(ROOT, 'examples', path), 'utf8').then(
      (text) => response.end(text.replaceAll('http://localhost:8080', network.url)),
      () => response.writeHead(404).end(),
    )
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { provider, network } = await startForPages({ corsOrigin: [origin] })
  return { origin, provider, network }
}

describeWith('chromium', 'the example', (program) => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium(program)
  })
  afterAll(() => browser.close())

  async function open(name: string) {
    const { origin, provider, network } = await startElsewhere()
    const page = await visit(browser, `${origin}/${name}`, REMEMBER_SOURCES)
    const ask = async () => {
      await page.getByRole('button', { name: 'Send' }).click()
      return provider.nextRun()
    }
    /** Waits until the page shows this and nothing else. */
    const shows = (text: string) =>
      page.waitForFunction(`document.querySelector('pre')?.textContent === ${JSON.stringify(text)}`)
    return { network, page, ask, shows }
  }

  describe.each(['vanilla.html', 'event-source.html'])('%s', (name) => {
    it('shows every token once, whatever is cut, and asks for nothing more after `done`', async () => {
      const { network, page, ask, shows } = await open(name)
      const run = await ask()
      run.text('one ')
      await shows('one ')
      network.cut()
      run.text('two ')
      await shows('one two ')
      run.text('three')
      run.done()
      await shows('one two three')
      const before = network.requests.entries.length
      const id = network.requests.entries.at(-1)?.path.split('/').at(-1)
      await page.waitForFunction('sources.every(({ readyState }) => readyState === EventSource.CLOSED)')
      const again = await ask()
      again.text('another')
      again.done()
      await shows('another')
      expect(network.requests.entries.slice(before).filter(({ path }) => path === `/v1/streams/${id}`)).toEqual([])
    })

    it('shows why it failed', async () => {
      const { page, ask } = await open(name)
      const run = await ask()
      run.fail(new Error('a secret'))
      await page.waitForFunction(`document.querySelector('pre')?.textContent.includes('The provider')`)
    })
  })

  it('event-source.html says so when no gateway is there', async () => {
    const { network, page, shows } = await open('event-source.html')
    await network.offline()
    await page.getByRole('button', { name: 'Send' }).click()
    await shows('TypeError: Failed to fetch')
    await network.online()
  })

  it('vanilla.html stops its stream for everybody', async () => {
    const { page, ask, shows } = await open('vanilla.html')
    const run = await ask()
    run.text('one ')
    await shows('one ')
    await page.getByRole('button', { name: 'Stop' }).click()
    await run.aborted
    await shows('one ')
  })
})
