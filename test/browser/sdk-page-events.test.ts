import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { HI } from '../client/harness.ts'
import { driverIn, openDriverPage } from '../support/browser-runtime.ts'
import { launchTabs } from '../support/chromium-tabs.ts'
import { expectNothingMore, expectWhole, openClient } from '../support/client-runtime.ts'
import { startGateway } from '../support/gateway.ts'
import { describeWith } from '../support/programs.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

/** Longer than any test: without a word of the browser there is no second connection. */
const NEVER = { backoffMs: 2 ** 30 }

describeWith('chromium', 'the client in a page', (program) => {
  let tabs: Awaited<ReturnType<typeof launchTabs>>
  beforeAll(async () => {
    tabs = await launchTabs(program)
  })
  afterAll(() => tabs.close())

  /** A stream in a tab of its own, with its first token. */
  async function streamInTab(options: { backoffMs?: number; heartbeatMs?: number }) {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({}, { providers: [provider] })
    const opened: Page[] = []
    const client = await openClient(
      {
        name: 'a tab',
        async open(network, report) {
          const page = await openDriverPage(tabs.context, network, report, '<script src="/driver.js"></script>')
          opened.push(page)
          return driverIn(page)
        },
      },
      gateway.url,
    )
    const page = opened[0]!
    onTestFinished(() => page.close())
    const stream = await client.start({ chat: { ...HI, model: 'scripted' }, ...options })
    const run = await provider.nextRun()
    run.text('one ')
    await stream.wire.untilCount('frame', 1)
    return { client, network: client.network, page, stream, run }
  }

  async function hide(page: Page): Promise<void> {
    const other = await tabs.context.newPage()
    onTestFinished(() => other.close())
    await other.bringToFront()
    await page.waitForFunction('document.visibilityState === "hidden"', undefined, { polling: 50 })
  }

  async function setOffline(offline: boolean): Promise<void> {
    if (offline) onTestFinished(() => tabs.context.setOffline(false))
    await tabs.context.setOffline(offline)
  }

  it('reads on while it is hidden', async () => {
    const { client, page, stream, run } = await streamInTab(NEVER)
    await hide(page)
    run.text('two ')
    await stream.wire.untilCount('frame', 2)
    run.text('three')
    run.done()
    await expectWhole(stream, 'one two three')
    expect(stream.wire.of('request')).toHaveLength(1)
    await expectNothingMore(client)
  })

  it('that is looked at again reconnects at once', async () => {
    const { client, network, page, stream, run } = await streamInTab(NEVER)
    await hide(page)
    network.cut()
    run.text('two')
    run.done()
    await stream.wire.untilCount('reconnect', 1)
    expect(network.requests.entries).toHaveLength(1)
    await page.bringToFront()
    await expectWhole(stream, 'one two')
    await expectNothingMore(client)
  })

  it('that was asleep when its connection was cut goes on when it wakes up', async () => {
    const { client, network, page, stream, run } = await streamInTab(NEVER)
    await hide(page)
    const session = await tabs.context.newCDPSession(page)
    await session.send('Page.setWebLifecycleState', { state: 'frozen' })
    network.cut()
    run.text('two')
    run.done()
    await network.closed()
    await session.send('Page.setWebLifecycleState', { state: 'active' })
    await page.bringToFront()
    await expectWhole(stream, 'one two')
    await expectNothingMore(client)
  })

  it('that comes online reconnects at once', async () => {
    const { client, network, stream, run } = await streamInTab(NEVER)
    await setOffline(true)
    network.cut()
    await stream.wire.untilCount('reconnect', 1)
    run.text('two')
    run.done()
    await setOffline(false)
    await expectWhole(stream, 'one two')
    await expectNothingMore(client)
  })

  it('that comes online does not trust the connection it had', async () => {
    const { client, network, stream, run } = await streamInTab(NEVER)
    await setOffline(true)
    network.hang()
    run.text('two')
    run.done()
    await setOffline(false)
    await expectWhole(stream, 'one two')
    expect(stream.wire.of('disconnect')[0]).toMatchObject({ reason: 'network-changed' })
    await expectNothingMore(client)
  })

  it('that was offline for twenty seconds, by its own clock and backoff, has missed nothing', async () => {
    const { client, network, page, stream, run } = await streamInTab({})
    await setOffline(true)
    await network.offline()
    run.text('two ')
    await page.evaluate('new Promise((resolve) => setTimeout(resolve, 20_000))')
    expect(stream.wire.of('disconnect').length).toBeGreaterThan(1)
    run.text('three')
    run.done()
    await network.online()
    await setOffline(false)
    await expectWhole(stream, 'one two three')
    await expectNothingMore(client)
  })
})
