import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it, onTestFinished } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { visit } from '../support/example-pages.ts'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { KEY, withKeys } from '../support/keys.ts'
import { ROOT } from '../support/process.ts'
import { describeWith } from '../support/programs.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

describeWith('chromium', 'the example tickets', (program) => {
  /** The back end, the page that it serves, and the gateway. */
  async function setUp(key = KEY) {
    // The gateway is told the origin of the back end, which is told where the gateway is.
    const network = await FaultyNetwork.start('http://127.0.0.1:1')
    const env = { PATH: process.env.PATH, SLUICE_URL: network.url, SLUICE_KEY: key, PORT: '0' }
    const backEnd = spawn(process.execPath, ['examples/tickets/server.js'], { cwd: ROOT, env })
    onTestFinished(() => void backEnd.kill())
    const [line] = await once(backEnd.stdout, 'data')
    const origin = String(line).trim()
    const provider = new ScriptedProvider()
    const settings = { ...withKeys(), corsOrigin: [origin], defaultModel: 'scripted' }
    const gateway = await startGateway(settings, { providers: [provider] })
    network.target = gateway.url
    const browser = await launchChromium(program)
    onTestFinished(() => browser.close())
    const page = await visit(browser, origin)
    const shows = (text: string) =>
      page.waitForFunction(`document.querySelector('pre')?.textContent === ${JSON.stringify(text)}`)
    return { network, provider, page, shows, ask: () => page.getByRole('button', { name: 'Send' }).click() }
  }

  it('shows every token once, whatever is cut, without a key in the page', async () => {
    const { network, provider, page, shows, ask } = await setUp()
    const sent: (string | undefined)[] = []
    page.on('request', (request) => sent.push(request.headers().authorization))
    await ask()
    const run = await provider.nextRun()
    expect(run.request.messages).toEqual([{ role: 'user', content: 'Why is the sky blue?' }])
    run.text('one ')
    await shows('one ')
    network.cut()
    run.text('two')
    run.done()
    await shows('one two')
    expect(new Set(sent)).toEqual(new Set([undefined]))
    const [created, ...reads] = network.requests.entries
    expect(created).toMatchObject({ method: 'POST', headers: { 'sluice-user': 'ann' } })
    expect(reads.length).toBeGreaterThan(1)
    for (const { path, headers } of reads) {
      expect(path).toMatch(/^\/v1\/streams\/str_\w+\?ticket=/)
      expect(headers.authorization).toBeUndefined()
    }
  })

  it('shows why there is no answer', async () => {
    const { shows, ask } = await setUp('wrong')
    await ask()
    await shows('The API key is not valid.')
  })
})
