import { build } from 'esbuild'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { startForPages, visit } from '../support/example-pages.ts'
import { ROOT } from '../support/process.ts'
import { describeWith } from '../support/programs.ts'

/** What an app does with the component; StrictMode mounts it, unmounts it and mounts it again. */
const APP = `
  import { StrictMode } from 'react'
  import { createRoot } from 'react-dom/client'
  import { ChatWindow } from './chat.tsx'
  const root = createRoot(document.body.appendChild(document.createElement('div')))
  root.render(<StrictMode><ChatWindow /></StrictMode>)
  globalThis.unmount = () => root.unmount()`

async function bundleApp(): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: APP, loader: 'tsx', resolveDir: `${ROOT}/examples/react` },
    bundle: true,
    format: 'iife',
    jsx: 'automatic',
    // The same modules, as the server package has them.
    alias: { '@sluice/client': 'sluice/client', '@sluice/client/react': 'sluice/react' },
    // That of development, where StrictMode does what it does.
    define: { 'process.env.NODE_ENV': '"development"' },
    write: false,
  })
  return outputFiles[0]?.text ?? ''
}

describeWith('chromium', 'the React hook', (program) => {
  let browser: Browser
  let app: string
  beforeAll(async () => {
    ;[browser, app] = await Promise.all([launchChromium(program), bundleApp()])
  })
  afterAll(() => browser.close())

  async function open() {
    const { provider, network } = await startForPages()
    const html = '<!doctype html><link rel="icon" href="data:," /><body><script src="/app.js"></script></body>'
    network.serve('/', 'text/html; charset=utf-8', html)
    network.serve('/app.js', 'text/javascript; charset=utf-8', app)
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
    const requests = () => network.requests.entries.map(({ method }) => method)
    return { provider, network, page, ask, shows, requests }
  }

  it('shows a conversation, asks for each answer once and sends what was said before', async () => {
    const { provider, page, ask, shows, requests } = await open()
    const first = await ask('What?')
    await shows('What?')
    first.text('This ')
    await shows('What?', 'This ')
    first.text('one.')
    first.done()
    await page.getByRole('button', { name: 'Send' }).waitFor()
    await shows('What?', 'This one.')
    const second = await ask('And?')
    expect(second.request.messages).toEqual([
      { role: 'user', content: 'What?' },
      { role: 'assistant', content: 'This one.' },
      { role: 'user', content: 'And?' },
    ])
    second.text('That.')
    second.done()
    await shows('What?', 'This one.', 'And?', 'That.')
    expect([requests(), provider.runs.length]).toEqual([['POST', 'POST'], 2])
  })

  it('survives a cut in the middle of an answer', async () => {
    const { network, ask, shows, requests } = await open()
    const run = await ask('What?')
    run.text('half ')
    await shows('What?', 'half ')
    network.cut()
    run.text('and half')
    run.done()
    await shows('What?', 'half and half')
    expect(requests()).toEqual(['POST', 'GET'])
  })

  it('says that it is connecting again while the gateway is away', async () => {
    const { network, page, ask, shows } = await open()
    const run = await ask('What?')
    run.text('half ')
    await shows('What?', 'half ')
    await network.offline()
    await page.getByText('Connecting').waitFor()
    await network.online()
    await page.getByText('Connecting').waitFor({ state: 'detached' })
    run.text('and half')
    run.done()
    await shows('What?', 'half and half')
  })

  it('rejoins the running answer after a reload, and does not ask again', async () => {
    const { provider, page, ask, shows, requests } = await open()
    const run = await ask('What?')
    run.text('before ')
    await shows('What?', 'before ')
    await page.reload()
    await shows('What?', 'before ')
    run.text('after')
    run.done()
    await shows('What?', 'before after')
    await page.getByRole('button', { name: 'Send' }).waitFor()
    await page.reload()
    await shows('What?', 'before after')
    expect(provider.runs).toHaveLength(1)
    expect(new Set(requests())).toEqual(new Set(['POST', 'GET']))
  })

  it('leaves its stream when it is unmounted, and leaves it running', async () => {
    const { network, page, ask, shows } = await open()
    const run = await ask('What?')
    run.text('half ')
    await shows('What?', 'half ')
    await page.evaluate('unmount()')
    await network.requests.entries[0]!.closed
    expect(run.signal.aborted).toBe(false)
  })

  it('stops the stream for everybody, and keeps what has come', async () => {
    const { page, ask, shows } = await open()
    const run = await ask('What?')
    run.text('half ')
    await shows('What?', 'half ')
    await page.getByRole('button', { name: 'Stop' }).click()
    await run.aborted
    await page.getByRole('button', { name: 'Send' }).waitFor()
    await shows('What?', 'half ')
  })

  it('shows why an answer failed, and can be asked again', async () => {
    const { page, ask, shows } = await open()
    ;(await ask('What?')).fail(new Error('a secret'))
    await page.getByRole('alert').waitFor()
    const run = await ask('What now?')
    await shows('What?', 'What now?')
    run.text('This.')
    run.done()
    await shows('What?', 'What now?', 'This.')
  })
})
