import { expect, it } from 'vitest'
import { Tickets } from '../../src/access/tickets.ts'
import { KEY, withKeys } from '../support/keys.ts'
import { PlaygroundPage } from '../support/playground.ts'
import { describeWith } from '../support/programs.ts'

describeWith('chromium', 'a link that the playground shares', (program) => {
  async function openWithKey(): Promise<PlaygroundPage> {
    const playground = await PlaygroundPage.open(program, { settings: withKeys() })
    await playground.useKey(KEY)
    await playground.listsModels()
    return playground
  }

  it('lets somebody without a key read the stream to its end, over a reload, and do nothing else', async () => {
    const playground = await openWithKey()
    const run = await playground.ask('Is it secret?')
    run.text('one ')
    await playground.reads(playground.answer(), 'one')
    const link = await playground.share()
    expect(link).toMatch(/\/#\/str_\w+\?ticket=r\w+\.[\w-]+$/)

    const guest = await playground.guest(link)
    const text = guest.locator('.answer .text').first()
    await text.getByText('one').waitFor()
    expect(guest.url()).toBe(link.replace(/\?.*/, ''))
    await guest.reload()
    run.text('two')
    await text.getByText('one two').waitFor()
    await guest.getByRole('button', { name: 'Second reader' }).click()
    run.done()
    await guest.locator('.verdict').waitFor()
    for (const absent of ['#composer', '#access', '#share', '#stop'])
      expect(await guest.locator(absent).isVisible()).toBe(false)
    expect(await guest.locator('.question').count()).toBe(0)
    expect(await guest.locator('.joined').textContent()).toMatch(/^Shared with you/)
  })

  it('puts the ticket in no request line, no log and no other header than its own', async () => {
    const playground = await openWithKey()
    const run = await playground.ask()
    run.done()
    await playground.frames('done').waitFor()
    const link = await playground.share()
    const [, ticket = ''] = /ticket=(.+)/.exec(link) ?? []
    const guest = await playground.guest('about:blank')
    const carriers: string[] = []
    guest.on('request', async (request) => {
      const { referer = '', ...headers } = await request.allHeaders()
      if (request.url().replace(/#.*/, '').includes(ticket) || referer.includes(ticket)) carriers.push(request.url())
      for (const [name, value] of Object.entries(headers)) if (value.includes(ticket)) carriers.push(name)
    })
    await guest.goto(link)
    await guest.locator('.note').getByText('stop').waitFor()
    expect(carriers).toEqual(['sluice-ticket'])
    expect(JSON.stringify(playground.gateway.logs)).not.toContain(ticket)
  })

  it('that has expired, or lost a part, says so in words', async () => {
    const playground = await openWithKey()
    const { gateway } = playground
    let now = Date.now()
    Object.assign(gateway.services, { tickets: new Tickets([], () => now) })
    const run = await playground.ask()
    run.text('one ')
    const link = await playground.share()
    const words = 'This link has expired, or a part of it is missing. Ask for a new one.'
    const damaged = await playground.guest(link.slice(0, -1))
    await damaged.locator('.note.failed').getByText(words).waitFor()
    now += 2 * 3_600_000
    const late = await playground.guest(link)
    await late.locator('.note.failed').getByText(words).waitFor()
    await late.getByRole('log').getByText(words).waitFor()
    expect(await late.locator('#access').isVisible()).toBe(false)
  })

  it('opens in a page that is open already', async () => {
    const playground = await openWithKey()
    const run = await playground.ask()
    run.text('one')
    run.done()
    await playground.frames('done').waitFor()
    const link = await playground.share()
    const guest = await playground.guest(playground.gateway.url)
    await guest.getByLabel('API key').waitFor()
    await guest.evaluate(`void (location.href = ${JSON.stringify(link)})`)
    await guest.locator('.answer .text').getByText('one').waitFor()
    expect(guest.url()).not.toContain('ticket')
    await guest.getByRole('button', { name: 'New chat' }).click()
    expect(await guest.getByRole('textbox', { name: 'Message' }).isVisible()).toBe(true)
  })

  it('is copied, or selected where there is no clipboard, and can be hidden', async () => {
    const playground = await openWithKey()
    const { page } = playground
    const run = await playground.ask()
    run.text('one')
    const link = await playground.share()
    const said = page.locator('#shared-says')
    await page.getByRole('status').getByText('Everybody with this link').waitFor()
    expect(await page.evaluate('getSelection().toString()')).toBe(link)
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await playground.button('Copy').click()
    await said.getByText('The link is copied.').waitFor()
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(link)
    await page.evaluate(`Object.defineProperty(navigator, 'clipboard', { value: undefined })`)
    await playground.button('Copy').click()
    await said.getByText('copy it with the keyboard').waitFor()
    expect(await page.evaluate('document.activeElement.id')).toBe('link')
    await playground.button('Hide').click()
    expect(await page.evaluate('document.activeElement.id')).toBe('share')
    await playground.button('New chat').click()
    expect(await page.locator('#share').isVisible()).toBe(false)
  })

  it('is not made for a stream that the gateway no longer has, which is said', async () => {
    const playground = await openWithKey()
    const run = await playground.ask()
    run.text('one')
    await playground.button('Share').waitFor()
    await playground.page.route('**/tickets', (route) =>
      route.fulfill({ status: 410, json: { code: 'stream_expired', detail: 'The stream has expired.' } }),
    )
    await playground.button('Share').click()
    await playground.page.locator('#shared-says').getByText('There is no link: The stream has expired.').waitFor()
  })

  it('works without keys, too', async () => {
    const playground = await PlaygroundPage.open(program)
    const run = await playground.ask()
    run.text('one')
    run.done()
    await playground.frames('done').waitFor()
    const guest = await playground.guest(await playground.share())
    await guest.locator('.answer .text').getByText('one').waitFor()
    expect(playground.complaints).toEqual([])
  })
})
