import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { visit } from '../support/example-pages.ts'
import { answers, refuses, says } from '../support/openai-upstream.ts'
import { packBoth, type Packed } from '../support/packed.ts'
import { describeWith } from '../support/programs.ts'
import { startUpstream } from '../support/upstream.ts'
import { Day } from './day.ts'
import { findFile } from './docs.ts'

/** They install packages and start many programs, also on a machine that is busy with other tests. */
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const LISTENING = /"msg":"listening"/

const cleanUps: (() => Promise<void>)[] = []
let packed: Packed

beforeAll(async () => {
  packed = await packBoth((cleanUp) => void cleanUps.push(cleanUp))
})
afterAll(() => Promise.all(cleanUps.map((cleanUp) => cleanUp())))

describeWith('chromium', 'the first day of a front-end engineer', (program) => {
  it('ends with a page that goes on after a reload in the middle of an answer', async () => {
    const day = await Day.begin('Front-end engineer', packed)
    await day.run('npm install sluice @sluice/client vite')
    const gateway = day.start('npx sluice')
    await gateway.until(LISTENING)
    for (const name of ['index.html', 'main.js', 'vite.config.js']) await day.save(name)
    const [url] = await day.start('npx vite', '--host 127.0.0.1').until(/http:\/\/127\S+/)

    const browser = await launchChromium(program)
    const page = await visit(browser, url)
    const answer = () => page.locator('pre').innerText()
    await page.getByRole('button').click()
    await page.waitForFunction(`document.querySelector('pre').textContent !== ''`)
    day.gotToken()
    const before = await answer()
    await page.reload()
    await gateway.until(/"msg":"generation ended"/)
    const id = await page.evaluate<string>('sessionStorage.stream')
    const whole = await page.evaluate<string>(
      `fetch('/v1/streams/${id}', { headers: { accept: 'application/json' } }).then((r) => r.json()).then((s) => s.message.content)`,
    )
    await page.waitForFunction(`document.querySelector('pre').textContent === ${JSON.stringify(whole)}`)
    expect(whole.startsWith(before)).toBe(true)
    expect(whole.length).toBeGreaterThan(100)
    await browser.close()
    day.report('Front-end engineer')
  })
})

describe('the first day of an application engineer', () => {
  it('ends with two SDKs, an alias, a fallback, a provider and a stream of events', async () => {
    const upstream = await startUpstream(async (response, request) => {
      const answer = request.body.model === 'gpt-5' ? refuses(500, 'server_error') : answers(says(['Hello ', 'there']))
      await answer(response, request)
    })
    const day = await Day.begin('Application engineer', packed)
    Object.assign(day.env, { LLM_URL: `${upstream.url}/v1`, LLM_KEY: 'sk-secret' })
    await day.run('npm install sluice openai @anthropic-ai/sdk koa')
    await day.save('sluice.yaml')
    await day.save('echo.mjs', findFile('echo.mjs'))
    await day.save('openai.mjs')
    await day.save('anthropic.mjs')
    const gateway = day.start('npx sluice')
    await gateway.until(LISTENING)

    expect(await day.run('node openai.mjs fast')).toBe('Hello there')
    day.gotToken()
    expect(await day.run('node anthropic.mjs fast')).toBe('Hello there')
    expect(upstream.requests.map(({ body }) => body.model)).toEqual(['gpt-5-mini', 'gpt-5-mini'])
    expect(upstream.requests[0]?.headers.authorization).toBe('Bearer sk-secret')
    expect(await day.run('node openai.mjs smart')).toBe('hi')

    await day.save('events.mjs')
    await day.start('node events.mjs').until(/localhost/)
    expect(await day.run('curl -N localhost:3000')).toMatch(/id: 3\n[^]*event: end\n/)
    day.report('Application engineer')
  })
})

describe('the first day of a platform engineer', () => {
  it('ends with keys, probes, metrics and a drain', async () => {
    const day = await Day.begin('Platform engineer', packed)
    await day.run('npm install sluice')
    const created = await day.run('npx sluice key create web')
    const [, entry = ''] = /^(keys:\n[^]*)/m.exec(created) ?? []
    await day.save('sluice.yaml', entry)
    await day.run('npx sluice check')
    day.env.METRICS_TOKEN = 'a-token-for-the-scraper-of-this-test'
    const gateway = day.start('npx sluice')
    await gateway.until(LISTENING)

    const ask = String.raw`curl -N localhost:8080/v1/chat -H "authorization: Bearer $SLUICE_KEY" -H 'content-type: application/json' -d '{"messages":[{"role":"user","content":"hi"}]}'`
    await day.run('curl -f localhost:8080/readyz')
    expect(await day.run(ask)).toContain('invalid_api_key')
    Object.assign(day.env, { SLUICE_KEY: /slk_\S+/.exec(created)?.[0] })
    const asked = day.start(ask)
    await asked.until(/event: delta/)
    day.gotToken()
    expect(await day.run('curl -f localhost:8080/metrics -H "authorization: Bearer $METRICS_TOKEN"')).toContain(
      'sluice_streams_total',
    )
    // A stream that runs is not cut.
    gateway.kill('SIGTERM')
    expect((await asked.ended).text).toMatch(/event: done\ndata: \{"finish_reason":"stop"/)
    expect((await gateway.ended).text).toContain('"msg":"draining"')
    day.report('Platform engineer')
  })
})
