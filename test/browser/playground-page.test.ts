import { chromium, type BrowserContextOptions } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { BROWSER_ARGUMENTS } from '../support/chromium.ts'
import { startGateway } from '../support/gateway.ts'
import { PlaygroundPage } from '../support/playground.ts'
import { describeWith } from '../support/programs.ts'

/** What can be used, by its role in the tree that screen readers read. */
const CONTROLS = new Set(['button', 'checkbox', 'combobox', 'link', 'spinbutton', 'textbox', 'textField', 'listbox'])

interface TreeNode {
  ignored: boolean
  role?: { value: string }
  name?: { value: string }
}

/** The controls of a page, by role and name. */
async function controlsOf({ page }: PlaygroundPage): Promise<string[]> {
  const session = await page.context().newCDPSession(page)
  const { nodes } = (await session.send('Accessibility.getFullAXTree')) as { nodes: TreeNode[] }
  return nodes
    .filter(({ ignored, role }) => !ignored && CONTROLS.has(role?.value ?? ''))
    .map(({ role, name }) => `${role?.value}: ${name?.value ?? ''}`)
}

describeWith('chromium', 'the page of the playground', (program) => {
  const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }
  const open = (context: BrowserContextOptions = {}) => PlaygroundPage.open(program, { context })

  it('weighs less than 60 kB as it is served, compressed, and is painted before it asks for anything', async () => {
    const { url } = await startGateway()
    const browser = await chromium.launch({ executablePath: program, args: BROWSER_ARGUMENTS })
    onTestFinished(() => browser.close())
    const page = await browser.newPage()
    const session = await page.context().newCDPSession(page)
    await session.send('Network.enable')
    const served = new Map<string, number>()
    const types = new Map<string, string>()
    session.on('Network.responseReceived', ({ requestId, type }) => void types.set(requestId, type))
    session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      if (['Document', 'Stylesheet', 'Script'].includes(types.get(requestId) ?? ''))
        served.set(requestId, encodedDataLength)
    })
    await page.goto(url)
    await page.locator('option').filter({ hasText: 'mock' }).waitFor({ state: 'attached' })
    expect(served.size).toBeGreaterThan(2)
    expect([...served.values()].reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(60_000)

    const [painted, asked] = await page.evaluate<[number, number]>(`[
      performance.getEntriesByName('first-paint')[0].startTime,
      Math.min(...performance.getEntriesByType('resource').flatMap((entry) => entry.initiatorType === 'fetch' ? entry.startTime : [])),
    ]`)
    expect(painted).toBeLessThan(asked)
  })

  it('names every control for those who listen', async () => {
    const playground = await open()
    const { page } = playground
    await playground.button('Settings').click()
    await playground.button('Mock settings').click()
    const atRest = await controlsOf(playground)
    for (const control of ['textbox: Message', 'combobox: Model', 'spinbutton: Temperature', 'button: Send'])
      expect(atRest).toContain(control)
    await playground.button('Code').click()
    expect(await controlsOf(playground)).toContain('button: Copy the code')
    await page.keyboard.press('Escape')

    const run = await playground.ask()
    run.text('[link](https://a.b)\n\n```\ncode\n```\n')
    run.yield({ type: 'delta', tool_calls: [{ index: 0, id: 'a', function: { name: 'find', arguments: '{}' } }] })
    run.yield({ type: 'done', finish_reason: 'tool_calls' })
    await page.getByLabel('Result of find').waitFor()
    await playground.button('Second reader').click()
    await page.locator('.verdict').waitFor()
    await playground.button('Edit').click()
    const used = await controlsOf(playground)
    for (const control of ['link: link', 'button: Copy code', 'textbox: Result of find', 'combobox: Second reader as'])
      expect(used).toContain(control)
    expect([...atRest, ...used].filter((control) => control.endsWith(': '))).toEqual([])
  })

  it('begins at the message, and leads there from the top', async () => {
    const { page: desktop } = await open()
    await desktop.locator('#message:focus').waitFor()
    // Where a keyboard would cover the page, nothing has the focus.
    const { page } = await open(phone)
    const focused = () => page.evaluate<string>('document.activeElement.id')
    await page.keyboard.press('Tab')
    expect(await focused()).toBe('skip')
    await page.keyboard.press('Enter')
    expect(await focused()).toBe('message')
  })

  it('moves nothing for those who want no motion', async () => {
    const playground = await open({ reducedMotion: 'reduce' })
    await playground.ask()
    await playground.page.locator('.answer.running').waitFor()
    const animation = `getComputedStyle(document.querySelector('.answer .text'), '::after').animationName`
    expect(await playground.page.evaluate(animation)).toBe('none')
    await playground.page.emulateMedia({ reducedMotion: 'no-preference' })
    expect(await playground.page.evaluate(animation)).toBe('wait')
  })

  it('keeps its marks where colors are forced', async () => {
    const playground = await open({ forcedColors: 'active' })
    const { page } = playground
    const run = await playground.ask()
    run.text('one')
    run.done()
    await playground.frames('done').waitFor()
    const colors = await page.evaluate<string[]>(`[...document.querySelectorAll('#frames .label')].map((label) =>
      getComputedStyle(label, '::before').backgroundColor)`)
    expect(new Set(colors).size).toBe(3)
    const border = await page.evaluate<string>(`getComputedStyle(document.querySelector('.question')).borderTopColor`)
    expect(border).not.toBe('rgba(0, 0, 0, 0)')
  })

  it('has the four actions and the answer on a phone at once, and no button that stays lit after a tap', async () => {
    const playground = await open(phone)
    const { page } = playground
    expect(await page.evaluate('document.activeElement.id')).toBe('')
    const run = await playground.ask()
    run.text('one')
    await playground.reads(playground.answer(), 'one')
    const isSeen = (selector: string) =>
      page.evaluate<boolean>(`(({ top, bottom, height }) => height > 0 && top >= 0 && bottom <= innerHeight)(
        document.querySelector('${selector}').getBoundingClientRect())`)
    for (const selector of ['#cut', '#slow', '#second', '#reload', '.answer .text', '#message'])
      expect([selector, await isSeen(selector)]).toEqual([selector, true])
    await page.locator('#cut').tap()
    await playground.frames('reconnect').waitFor()
    const color = `getComputedStyle(document.querySelector('#cut')).backgroundColor`
    expect(await page.evaluate(color)).toBe('rgba(0, 0, 0, 0)')
    run.done()
  })
})
