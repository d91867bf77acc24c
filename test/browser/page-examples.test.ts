import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { serveFolder, startForPages, visit } from '../support/example-pages.ts'
import { describeWith } from '../support/programs.ts'

/** Whoever makes an `EventSource` has to close it, or it asks again. */
const REMEMBER_SOURCES = `
  globalThis.sources = []
  globalThis.EventSource = class extends EventSource {
    constructor(url) { super(url); sources.push(this) }
  }`

describeWith('chromium', 'the example', (program) => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium(program)
  })
  afterAll(() => browser.close())

  async function open(name: string) {
    const { provider, network } = await startForPages()
    await serveFolder(network, '/examples', 'examples')
    const page = await visit(browser, `${network.url}/examples/${name}`, REMEMBER_SOURCES)
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
