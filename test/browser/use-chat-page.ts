import type { Browser } from 'playwright-core'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { buildExample, installExample } from '../support/example-packages.ts'
import { serveFolder, startForPages, visit } from '../support/example-pages.ts'
import { describeWith } from '../support/programs.ts'

/** What holds for the example with `useChat`, with its own packages or with these versions in their place. */
export async function describeUseChat(title: string, versions: Record<string, string> = {}): Promise<void> {
  const example = await installExample('use-chat', versions)
  describeWith('chromium', title, (program) => {
    if (example !== undefined) describePage(program, example)
    else if (process.env.CI) it('has its packages', () => Promise.reject(new Error('They cannot be installed.')))
    else it.todo('needs its packages')
  })
}

function describePage(program: string, example: string): void {
  let browser: Browser
  beforeAll(async () => {
    ;[browser] = await Promise.all([launchChromium(program), buildExample(example)])
  }, 60_000)
  afterAll(() => browser.close())

  async function open() {
    const { provider, network } = await startForPages()
    const dist = join(example, 'dist')
    network.serve('/', 'text/html; charset=utf-8', await readFile(join(dist, 'index.html'), 'utf8'))
    await serveFolder(network, '/assets', join(dist, 'assets'))
    const page = await visit(browser, network.url)
    const ask = async (question: string) => {
      await page.getByRole('textbox').fill(question)
      await page.getByRole('button', { name: 'Send' }).click()
      return provider.nextRun()
    }
    /** Waits until these are the messages. */
    const shows = (...texts: string[]) =>
      page.waitForFunction(
        `JSON.stringify([...document.querySelectorAll('p')].map((p) => p.textContent)) === ${JSON.stringify(JSON.stringify(texts))}`,
      )
    return { provider, page, ask, shows, ready: () => page.getByRole('button', { name: 'Send' }).waitFor() }
  }

  it('shows a conversation, and resumes an answer after a reload', async () => {
    const { provider, page, ask, shows, ready } = await open()
    const run = await ask('What?')
    run.text('before ')
    await shows('What?', 'before ')
    await page.reload()
    await shows('What?', 'before ')
    run.text('after')
    run.done()
    await shows('What?', 'before after')
    await ready()
    await page.reload()
    await shows('What?', 'before after')
    const next = await ask('And?')
    expect(next.request.messages).toEqual([
      { role: 'user', content: 'What?' },
      { role: 'assistant', content: 'before after' },
      { role: 'user', content: 'And?' },
    ])
    next.text('That.')
    next.done()
    await shows('What?', 'before after', 'And?', 'That.')
    expect(provider.runs).toHaveLength(2)
  })

  it('shows an answer that ended while the page was away', async () => {
    const { page, ask, shows, ready } = await open()
    const run = await ask('What?')
    run.text('half ')
    await shows('What?', 'half ')
    const url = page.url()
    await page.goto('about:blank')
    run.text('and half')
    run.done()
    await page.goto(url)
    await shows('What?', 'half and half')
    await ready()
  })

  it('stops the answer for everybody, and keeps what has come', async () => {
    const { page, ask, shows, ready } = await open()
    const run = await ask('What?')
    run.text('half ')
    await shows('What?', 'half ')
    await page.getByRole('button', { name: 'Stop' }).click()
    await run.aborted
    await ready()
    await shows('What?', 'half ')
  })
}
