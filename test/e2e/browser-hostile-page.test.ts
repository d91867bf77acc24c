import { Readable } from 'node:stream'
import { expect, it, onTestFinished } from 'vitest'
import type { Provider } from '../../providers/provider.ts'
import type { Config } from '../../src/config.ts'
import { listRoutes } from '../../src/http/routes.ts'
import { launchChromium } from '../support/chromium.ts'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { withKeys } from '../support/keys.ts'
import { servePage } from '../support/page-server.ts'
import { describeWith } from '../support/programs.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

/** What any of the protocols would take. */
const BODY = JSON.stringify({
  model: 'scripted',
  messages: [{ role: 'user', content: 'hi' }],
  input: 'hi',
  prompt: 'hi',
  max_tokens: 5,
  stream: true,
})

/**
 * Whatever a page can send to another origin without asking first, and what it would have to ask for. Resolves to the
 * number of requests that were tried.
 */
const PAGE = `<!doctype html>
  <link rel="icon" href="data:," />
  <body></body>
  <script>
    const TYPES = [
      '', 'text/plain', 'text/plain;charset=utf-8', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x',
      'application/json', 'text/plain; application/json', 'application/csp-report',
    ]
    const ENCTYPES = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']
    async function attack(gateway, paths, body) {
      let tried = 0
      const attempt = (request) => {
        tried += 1
        return Promise.resolve().then(request).catch(() => {})
      }
      for (const path of paths) {
        const url = gateway + path
        await Promise.all(TYPES.flatMap((type) => ['cors', 'no-cors'].flatMap((mode) => ['', 'no-referrer'].map((referrerPolicy) =>
          attempt(async () => {
            const headers = type ? { 'content-type': type } : {}
            const options = { method: 'POST', mode, headers, credentials: 'include', referrerPolicy }
            await (await fetch(url, { ...options, body: new Blob([body]) })).body?.cancel()
          })))))
        for (const type of TYPES) await attempt(() => navigator.sendBeacon(url, new Blob([body], { type })))
        for (const enctype of ENCTYPES) await attempt(() => submit(url, enctype, body))
        await attempt(() => load('img', url))
        await attempt(() => load('script', url))
      }
      return tried
    }
    function submit(action, enctype, body) {
      const frame = Object.assign(document.createElement('iframe'), { name: 'frame' + Math.random() })
      const form = Object.assign(document.createElement('form'), { method: 'POST', action, enctype, target: frame.name })
      // With text/plain the body is whole JSON: the sign between name and value is inside of its last text.
      const input = Object.assign(document.createElement('input'), { name: body.slice(0, -1) + ',"user":"', value: '"}' })
      form.append(input)
      // What an upload needs.
      if (enctype.startsWith('multipart')) form.append(Object.assign(input.cloneNode(), { name: 'model', value: 'scripted' }))
      document.body.append(frame, form)
      return new Promise((resolve) => {
        frame.onload = resolve
        form.submit()
      }).finally(() => (frame.remove(), form.remove()))
    }
    function load(name, src) {
      const element = document.createElement(name)
      return new Promise((resolve) => {
        element.onload = element.onerror = resolve
        element.src = src
        document.body.append(element)
      }).finally(() => element.remove())
    }
  </script>`

/** A name of the attacker's, which resolves to this machine. */
const EVIL = 'evil.example'

const GATEWAYS: [string, Partial<Config>][] = [
  ['without keys, on loopback', {}],
  ['with keys', withKeys()],
]

describeWith('chromium', 'a hostile page, in a browser', (program) => {
  async function setUp(settings: Partial<Config>) {
    const provider = new ScriptedProvider()
    /** Requests that were passed on as they came, such as an upload of audio. */
    const forwarded: string[] = []
    const forward: Provider['forward'] = async ({ route }) => {
      forwarded.push(route)
      return { status: 200, headers: new Map(), body: Readable.from([]) }
    }
    Object.assign(provider, { forward })
    const gateway = await startGateway(settings, { providers: [provider] })
    const network = await FaultyNetwork.start(gateway.url)
    const browser = await launchChromium(program, `--host-resolver-rules=MAP ${EVIL} 127.0.0.1`)
    onTestFinished(() => browser.close())
    const paths = listRoutes(gateway.services)
      .filter(({ method, access }) => method === 'post' && access === 'chat')
      .map(({ path }) => path)
    /** Lets the page at this URL do what it can. */
    async function attack(url: string, target: string): Promise<void> {
      const page = await browser.newPage()
      await page.goto(url)
      const tried = await page.evaluate<number>(
        `attack(${JSON.stringify(target)}, ${JSON.stringify(paths)}, ${JSON.stringify(BODY)})`,
      )
      expect(tried).toBeGreaterThan(40 * paths.length)
    }
    async function streams(): Promise<number> {
      const text = await gateway.services.metrics.text()
      const values = [...text.matchAll(/^sluice_streams_total(?:\{.*\})? (\d+)$/gm)].map(([, value]) => Number(value))
      expect(values.length).toBeGreaterThan(0)
      return values.reduce((sum, value) => sum + value, 0)
    }
    /** Nothing of what a provider could have been asked. */
    async function expectNothingSpent(): Promise<void> {
      expect(provider.runs).toEqual([])
      expect(forwarded).toEqual([])
      expect(await streams()).toBe(0)
    }
    return { provider, network, attack, streams, expectNothingSpent }
  }

  it.each(GATEWAYS)('on another origin starts nothing on a gateway %s', async (_, settings) => {
    const { network, attack, expectNothingSpent } = await setUp(settings)
    const origin = await servePage(PAGE)
    for (const page of [origin.replace('127.0.0.1', EVIL), origin]) await attack(page, network.url)
    const types = network.requests.entries
      .filter(({ method }) => method === 'POST')
      .map(({ headers }) => headers['content-type']?.replace(/;.*/, ''))
    expect(new Set(types)).toEqual(
      new Set([undefined, 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']),
    )
    await expectNothingSpent()
  })

  it.each(GATEWAYS)('whose name was rebound to the gateway starts nothing on one %s', async (_, settings) => {
    const { network, attack, expectNothingSpent } = await setUp(settings)
    network.serve('/attack', 'text/html', PAGE)
    await attack(`${network.url.replace('127.0.0.1', EVIL)}/attack`, '')
    const asked = network.requests.entries.filter(({ method }) => method === 'POST')
    expect(asked.length).toBeGreaterThan(100)
    expect(new Set(asked.map(({ headers }) => headers.host?.replace(/:.*/, '')))).toEqual(new Set([EVIL]))
    expect(asked.some(({ headers }) => headers['content-type'] === 'application/json')).toBe(true)
    await expectNothingSpent()
  })

  it('would start a stream with the same request, if it were of the gateway', async () => {
    const { provider, network, streams } = await setUp({})
    const headers = { 'content-type': 'application/json' }
    await fetch(`${network.url}/v1/chat`, { method: 'POST', headers, body: BODY })
    const run = await provider.nextRun()
    run.done()
    await expect.poll(streams).toBe(1)
  })
})
