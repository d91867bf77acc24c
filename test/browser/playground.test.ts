import { expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { PlaygroundPage } from '../support/playground.ts'
import { describeWith } from '../support/programs.ts'

describeWith('chromium', 'the playground', (program) => {
  it('shows what the mock says, with its figures, and nothing of which a browser would complain', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page, gateway, message } = playground
    await page.getByText('Mock settings').click()
    await page.getByLabel('tokens', { exact: true }).fill('40')
    await page.getByLabel('seed').fill('7')
    await page.getByLabel('interval_ms').fill('1')
    await message.fill('Tell me a story')
    await message.press('Enter')
    await playground.frames('done').waitFor()

    const body = {
      messages: [{ role: 'user', content: 'Tell me a story' }],
      mock: { tokens: 40, seed: 7, interval_ms: 0 },
    }
    const headers = { 'content-type': 'application/json', accept: 'application/json' }
    const answer = await fetch(`${gateway.url}/v1/chat`, { method: 'POST', headers, body: JSON.stringify(body) })
    const { message: expected } = (await answer.json()) as { message: { content: string } }
    expect(await playground.source.textContent()).toBe(expected.content)
    expect(await page.locator('.turn .note').textContent()).toBe('stop · 40 tokens · mock')
    await page
      .locator('#figures div')
      .filter({ hasText: /^Events41$/ })
      .waitFor()
    await page.locator('#status').getByText('ready').waitFor()
    expect(playground.complaints).toEqual([])
  })

  it('shows reasoning, tool calls, and markup as the text that it is', async () => {
    const playground = await PlaygroundPage.open(program)
    const run = await playground.ask('<i>hi</i>')
    const markup = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    run.yield({ type: 'delta', reasoning: `Hm ${markup}` }, { type: 'delta', content: markup })
    run.yield(
      { type: 'delta', tool_calls: [{ index: 0, id: 'a', function: { name: '<b>find</b>', arguments: '{"q":' } }] },
      { type: 'delta', tool_calls: [{ index: 0, function: { arguments: '"<b>"}' } }] },
    )
    run.done()
    await playground.frames('done').waitFor()
    expect(await playground.answer().textContent()).toBe(markup)
    expect(await playground.page.locator('.reasoning p').textContent()).toBe(`Hm ${markup}`)
    expect(await playground.page.locator('.call strong').textContent()).toBe('<b>find</b>')
    expect(await playground.page.locator('.call code').textContent()).toBe('{"q":"<b>"}')
    expect(await playground.page.locator('.question .text').textContent()).toBe('<i>hi</i>')
    expect(await playground.page.locator('#turns :is(img, script, i, b)').count()).toBe(0)
    expect(playground.complaints).toEqual([])
  })

  it('comes back after a cut, with what it missed in one frame, and the same text', async () => {
    const playground = await PlaygroundPage.open(program)
    const run = await playground.ask()
    run.text('one ')
    await playground.reads(playground.answer(), 'one')
    await playground.button('Cut').click()
    await playground.frames('reconnect').waitFor()
    run.text('two ', 'three ')
    await playground.reads(playground.answer(), 'one two three')
    run.text('four')
    run.done()
    await playground.frames('done').waitFor()

    expect(await playground.answer().textContent()).toBe('one two three four')
    expect(await playground.frames('reconnect').textContent()).toMatch(/cut by you, back after .*after 1$/)
    expect(await playground.frames('merged').textContent()).toMatch(/2 deltas in one frame2–3$/)
    await playground.page
      .locator('#figures div')
      .filter({ hasText: /^Reconnects1$/ })
      .waitFor()
  })

  it('slowed down, gets the same text in fewer frames', async () => {
    const playground = await PlaygroundPage.open(program)
    const slow = playground.button('Slow reader')
    const run = await playground.ask()
    await slow.click()
    expect(await slow.getAttribute('aria-pressed')).toBe('true')
    run.text('one ')
    await playground.frames('reconnect').filter({ hasText: 'reads slowly, coming back' }).waitFor()
    run.text('two ')
    run.text('three ')
    run.text('four')
    run.done()
    await playground.frames('done').waitFor()
    expect(await playground.answer().textContent()).toBe('one two three four')
    expect(await playground.frames('merged').textContent()).toMatch(/3 deltas in one frame2–4$/)
  })

  it('rejoins the stream of its URL after a reload, with the question and the same text', async () => {
    const playground = await PlaygroundPage.open(program)
    const run = await playground.ask('Will it last?')
    run.text('one ', 'two ')
    await playground.reads(playground.answer(), 'one two')
    const url = playground.page.url()
    expect(url).toMatch(/#\/str_[\w-]+$/)
    await playground.button('Reload').click()
    await playground.frames('merged').waitFor()
    run.text('three')
    run.done()
    await playground.frames('done').waitFor()
    expect(playground.page.url()).toBe(url)
    expect(await playground.answer().textContent()).toBe('one two three')
    expect(await playground.page.locator('.question .text').textContent()).toBe('Will it last?')
    expect(playground.complaints).toEqual([])

    // Another tab knows the address alone.
    const other = await playground.page.context().browser()!.newPage()
    await other.goto(url)
    await other.locator('.note').waitFor()
    expect(await other.locator('.answer .text').textContent()).toBe('one two three')
    expect(await other.locator('.joined').count()).toBe(1)
  })

  it('keeps what was said before, and sends it along', async () => {
    const playground = await PlaygroundPage.open(program)
    const first = await playground.ask('one?')
    first.text('one.')
    first.done()
    await playground.frames('done').waitFor()
    const second = await playground.ask('two?')
    second.text('two.')
    second.done()
    await playground.frames('done').waitFor()
    expect(second.request.messages).toEqual([
      { role: 'user', content: 'one?' },
      { role: 'assistant', content: 'one.' },
      { role: 'user', content: 'two?' },
    ])
    await playground.page.reload()
    await playground.frames('done').waitFor()
    expect(await playground.page.locator('.turn .text').allTextContents()).toEqual(['one?', 'one.', 'two?', 'two.'])
  })

  it('lets a second reader in, who gets the same text from the beginning', async () => {
    const playground = await PlaygroundPage.open(program)
    const run = await playground.ask()
    run.text('one ', 'two ')
    await playground.reads(playground.answer(), 'one two')
    await playground.button('Second reader').click()
    await playground.reads(playground.answer(1), 'one two')
    run.text('three')
    run.done()
    await playground.page.locator('.verdict').waitFor()
    expect(await playground.answer(0).textContent()).toBe('one two three')
    expect(await playground.answer(1).textContent()).toBe('one two three')
    expect(await playground.page.locator('.verdict').textContent()).toBe(
      'Both readers have the same answer, all 13 characters of it.',
    )
  })

  it('stops the generation, and says that it was cancelled', async () => {
    const playground = await PlaygroundPage.open(program)
    const run = await playground.ask()
    run.text('one ')
    await playground.reads(playground.answer(), 'one')
    await playground.button('Stop').click()
    await run.aborted
    await playground.frames('done').filter({ hasText: 'cancelled' }).waitFor()
    await playground.page.locator('.note').filter({ hasText: 'cancelled' }).waitFor()
    await playground.button('Send').waitFor()
  })

  it('says what is wrong with a request, how an answer failed, and that a stream is not there', async () => {
    const playground = await PlaygroundPage.open(program)
    const failure = playground.page.locator('.note.failed')
    const run = await playground.ask()
    run.text('one ')
    run.fail(new Error('a secret'))
    await playground.frames('error').waitFor()
    expect(await failure.textContent()).toMatch(/^provider_failed: /)

    await playground.button('New chat').click()
    await playground.page.getByLabel('Model').selectOption('Other …')
    await playground.page.getByLabel('Name').fill('nobody/nothing')
    await playground.message.fill('hi')
    await playground.message.press('Enter')
    await failure.waitFor()
    expect(await failure.textContent()).toMatch(/^unknown_model: model /)

    await playground.page.goto(`${playground.gateway.url}/#/str_unknown`)
    await failure.filter({ hasText: 'stream_not_found' }).waitFor()
  })

  it('follows the answer, unless somebody has scrolled back to read', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page } = playground
    const top = () => page.evaluate<number>('document.querySelector("#conversation").scrollTop')
    const painted = () =>
      page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')
    const lines = (count: number) => Array.from({ length: count }, (_, index) => `line ${index}`)
    const run = await playground.ask()
    run.text(lines(100).join('\n'))
    await playground.reads(playground.answer(), lines(100).join(' '))
    await painted()
    expect(await top()).toBeGreaterThan(500)
    await page.evaluate('void (document.querySelector("#conversation").scrollTop = 200)')
    run.text('\nmore')
    run.done()
    await page.locator('.note').waitFor()
    await painted()
    expect(await top()).toBe(200)
  })

  it('shows heartbeats', async () => {
    const playground = await PlaygroundPage.open(program, { settings: { heartbeatMs: 20 } })
    const run = await playground.ask()
    await playground.frames('heartbeat').waitFor()
    run.done()
    await playground.frames('done').waitFor()
  })

  it('follows the status of the gateway until it drains', async () => {
    const playground = await PlaygroundPage.open(program, { settings: { drainMs: 60_000 } })
    const status = playground.page.locator('#status')
    await status.getByText('0 streams').waitFor()
    const run = await playground.ask()
    await status.getByText('1 stream', { exact: true }).waitFor()
    const drained = playground.gateway.drain()
    await status.getByText('draining').waitFor()
    run.done()
    await drained
  })

  it('can be switched off', async () => {
    const { url } = await startGateway({ playground: false })
    for (const path of ['/', '/playground/main.js', '/client/index.js'])
      expect((await fetch(url + path)).status).toBe(404)
  })
})
