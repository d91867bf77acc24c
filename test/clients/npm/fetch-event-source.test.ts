import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { describeWith } from '../../support/programs.ts'
import { readerContract } from './contract.ts'
import { inPage } from './in-page.ts'
import { openReader } from './open-reader.ts'
import type { ReaderKind } from './reader-kind.ts'

describeWith('chromium', 'in a page', (program) => {
  let page: Page
  const kind: ReaderKind = {
    name: '@microsoft/fetch-event-source',
    posts: true,
    askedAfterEnd: [],
    ...inPage(program, 'fetch-event-source', (opened) => {
      page = opened
    }),
  }
  readerContract(kind)

  // It takes an id for its cursor before the frame is whole: the reason why ids come last in a frame.
  it('loses nothing with its own cursor when a frame is cut before its id', async () => {
    const { proxy, start, asked } = await openReader(kind)
    const { run, events, text, done } = await start({ ownCursor: true })
    run.text('one ')
    await text('one ')
    for (const word of ['two ', 'three ', 'four ']) {
      const before = events()
      proxy.cutAfter(`event: delta\ndata: {"content":"${word}`.length)
      run.text(word)
      await text([...before.map(([, , content]) => content), word].join(''))
    }
    run.done()
    await done()
    expect(events().map(([, id]) => id)).toStrictEqual([1, 2, 3, 4, 5])
    expect(asked().slice(1)).toStrictEqual([
      ['1', 200],
      ['2', 200],
      ['3', 200],
    ])
  })

  /** As a browser does when somebody leaves the tab, or comes back to it. */
  async function setHidden(hidden: boolean): Promise<void> {
    await page.evaluate(`
      Object.defineProperty(document, 'hidden', { configurable: true, value: ${hidden} })
      document.dispatchEvent(new Event('visibilitychange'))`)
  }

  it('leaves a hidden page if it is told to, comes back when that is shown, and misses nothing', async () => {
    const { gateway, start, asked } = await openReader(kind)
    const { run, events, text, done } = await start({ closesWhenHidden: true })
    run.text('one ')
    await text('one ')
    await setHidden(true)
    await expect.poll(() => gateway.metric('sluice_connections_open{protocol="native"}')).toBe(0)
    run.text('two ')
    await setHidden(false)
    await text('one two ')
    run.text('three')
    run.done()
    await done()
    await text('one two three')
    expect(events().map(([, id]) => id)).toStrictEqual([1, 2, 3, 4])
    expect(asked()).toStrictEqual([
      [undefined, 200],
      ['1', 200],
    ])
  })

  it('is told nothing twice when its page is hidden and shown while it waits to come back', async () => {
    const { proxy, start, asked } = await openReader(kind)
    await page.clock.install()
    const { run, events, text, done } = await start()
    run.text('one ')
    await text('one ')
    const noticed = page.waitForEvent('requestfailed')
    proxy.cut()
    await noticed
    await setHidden(true)
    await setHidden(false)
    // Whoever waits to come back does so now.
    await page.clock.runFor(3000)
    await page.evaluate(`fetch('/healthz')`)
    run.text('two ')
    await text('one two ')
    run.done()
    await done()
    expect(events().map(([, id]) => id)).toStrictEqual([1, 2, 3])
    expect(asked().filter(([cursor]) => cursor)).toStrictEqual([['1', 200]])
  })
})
