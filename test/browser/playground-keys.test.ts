import { expect, it } from 'vitest'
import { bearer, KEY, withKeys } from '../support/keys.ts'
import { PlaygroundPage } from '../support/playground.ts'
import { describeWith } from '../support/programs.ts'

describeWith('chromium', 'the playground of a gateway with keys', (program) => {
  const focused = ({ page }: PlaygroundPage) => page.evaluate<string>('document.activeElement.id')

  it('asks for a key, says that it is wrong, and that it works', async () => {
    const playground = await PlaygroundPage.open(program, { settings: withKeys() })
    const { page, access } = playground
    expect(await access.textContent()).toBe('This gateway needs an API key.')
    expect(await playground.key.getAttribute('type')).toBe('password')
    await playground.useKey('wrong')
    await access.getByText('The gateway does not know this key.').waitFor()
    expect(await playground.key.getAttribute('aria-invalid')).toBe('true')
    expect(await focused(playground)).toBe('key')
    await playground.useKey(KEY)
    await access.getByText('The key works.').waitFor()
    expect(await playground.key.isVisible()).toBe(false)
    expect(await focused(playground)).toBe('message')
    await page.getByRole('status').getByText('The key works.').waitFor()
    await playground.listsModels()
    await page.locator('#status').getByText('ready').waitFor()
  })

  it('says of the same wrong key twice that it is wrong, and sends no key that a header cannot hold', async () => {
    const playground = await PlaygroundPage.open(program, { settings: withKeys() })
    for (const key of ['wrong', 'wrong', 'schlüssel', 'two words']) {
      await playground.page.evaluate(`document.querySelector('#notice').textContent = ''`)
      await playground.useKey(key)
      await playground.page.getByRole('status').getByText('does not know this key').waitFor()
    }
  })

  it('sends the key with all that it asks, and keeps it for the tab alone', async () => {
    const playground = await PlaygroundPage.open(program, { settings: withKeys() })
    const { page, gateway } = playground
    await playground.useKey(KEY)
    await playground.listsModels()
    const sent: [string, string | undefined][] = []
    page.on('request', (request) => {
      const { pathname } = new URL(request.url())
      if (pathname.startsWith('/v1/'))
        sent.push([`${request.method()} ${pathname.replace(/str_\w+/, 'ID')}`, request.headers().authorization])
    })
    const run = await playground.ask()
    run.text('one ')
    await playground.reads(playground.answer(), 'one')
    await playground.button('Cut').click()
    run.text('two ')
    await playground.reads(playground.answer(), 'one two')
    await playground.share()
    await playground.button('Second reader').click()
    await playground.reads(playground.answer(1), 'one two')
    await playground.button('Reload').click()
    await playground.listsModels()
    await playground.reads(playground.answer(), 'one two')
    await playground.access.getByText('The key works.').waitFor()
    await page.locator('#status').getByText('ready').waitFor()
    await playground.button('Stop').click()
    await run.aborted

    const { authorization } = bearer()
    expect(new Set(sent.map(([, key]) => key))).toEqual(new Set([authorization]))
    expect(new Set(sent.map(([request]) => request))).toEqual(
      new Set([
        'POST /v1/chat',
        'GET /v1/streams/ID',
        'POST /v1/streams/ID/tickets',
        'GET /v1/models',
        'GET /v1/status',
        'DELETE /v1/streams/ID',
      ]),
    )
    expect(await page.evaluate(`sessionStorage.getItem('sluice.key')`)).toBe(KEY)
    expect(await page.evaluate(`JSON.stringify(localStorage) + document.cookie + location.href`)).not.toContain(KEY)
    expect(JSON.stringify(gateway.logs)).not.toContain(KEY)
    const other = await page.context().newPage()
    await other.goto(gateway.url)
    await other.getByLabel('API key').waitFor()
  })

  it('gives a message back that was refused, and sends it once there is a key', async () => {
    const playground = await PlaygroundPage.open(program, { settings: withKeys() })
    const { page, message } = playground
    await message.fill('a long question')
    await message.press('Enter')
    await page.waitForFunction(`document.querySelector('#message').value === 'a long question'`)
    await page.waitForFunction(`document.activeElement.id === 'key'`)
    expect(await page.locator('.turn').count()).toBe(0)
    await page.keyboard.type(KEY)
    await page.keyboard.press('Enter')
    await playground.listsModels()
    expect(await message.inputValue()).toBe('a long question')
    const run = await playground.ask(await message.inputValue())
    expect(run.request.messages).toEqual([{ role: 'user', content: 'a long question' }])
    run.done()
    await playground.frames('done').waitFor()
  })

  it('shows the stream of its address once there is a key again', async () => {
    const playground = await PlaygroundPage.open(program, { settings: withKeys() })
    const { page } = playground
    await playground.useKey(KEY)
    await playground.listsModels()
    const run = await playground.ask()
    run.text('one')
    run.done()
    await playground.frames('done').waitFor()
    await page.evaluate('sessionStorage.clear()')
    await page.reload()
    await playground.failure.waitFor()
    await playground.useKey(KEY)
    await playground.reads(playground.answer(), 'one')
  })

  it('forgets a key that is to be changed', async () => {
    const playground = await PlaygroundPage.open(program, { settings: withKeys() })
    const { page } = playground
    await playground.useKey(KEY)
    await playground.button('Change key').click()
    expect(await focused(playground)).toBe('key')
    expect(await page.evaluate(`sessionStorage.getItem('sluice.key')`)).toBe('')
    expect(await playground.key.inputValue()).toBe('')
  })

  it('says what a key may not do', async () => {
    const reader = { name: 'reader', key: 'reader', scopes: ['read' as const] }
    const playground = await PlaygroundPage.open(program, { settings: withKeys(reader) })
    await playground.useKey('reader')
    await playground.access.getByText('The key works.').waitFor()
    await playground.message.fill('hi')
    await playground.message.press('Enter')
    await playground.failure.waitFor()
    expect(await playground.failure.textContent()).toMatch(/^insufficient_scope: .*"chat"/)
  })

  it('has no field when there are no keys', async () => {
    const playground = await PlaygroundPage.open(program)
    const run = await playground.ask()
    run.done()
    await playground.frames('done').waitFor()
    await playground.page.locator('#status').getByText('ready').waitFor()
    expect(await playground.page.locator('#access').isVisible()).toBe(false)
    expect(playground.complaints).toEqual([])
  })
})
