import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { BrowserContextOptions } from 'playwright-core'
import { expect, it } from 'vitest'
import { KEY, withKeys } from '../support/keys.ts'
import { PlaygroundPage } from '../support/playground.ts'
import { describeWith } from '../support/programs.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds, as `rule: element`. */
async function violations({ page }: PlaygroundPage): Promise<string[]> {
  await page.evaluate(AXE)
  const { violations: found, passes } = await page.evaluate<AxeResults>('axe.run()')
  expect(passes.length).toBeGreaterThan(20)
  return found.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
}

const MARKDOWN = `# One\n\n1. a [link](https://a.b) and \`code\`\n\n\`\`\`js\nlet a\n\`\`\`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted\n`

const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }

const DEVICES: [string, BrowserContextOptions][] = [
  ['in the light', { colorScheme: 'light' }],
  ['in the dark', { colorScheme: 'dark' }],
  ['on a phone', PHONE],
  ['on a phone in the dark', { ...PHONE, colorScheme: 'dark' }],
]

describeWith('chromium', 'the playground, for everybody', (program) => {
  it.each(DEVICES)('has nothing that axe objects to %s', async (_, context) => {
    // Its evaluation of a string is what the page's policy forbids; the test of that policy is another.
    const playground = await PlaygroundPage.open(program, { context: { ...context, bypassCSP: true } })
    await playground.page.locator('#status .state').waitFor()
    expect(await violations(playground)).toEqual([])

    await playground.button('Mock settings').click()
    await playground.button('Settings').click()
    expect(await violations(playground)).toEqual([])
    await playground.button('Code').click()
    expect(await violations(playground)).toEqual([])
    await playground.button('Close').click()

    const run = await playground.ask()
    run.yield({ type: 'delta', reasoning: 'Hm. ' }, { type: 'delta', content: `${MARKDOWN}\none ` })
    await playground.answer().getByText('one', { exact: true }).waitFor()
    await playground.button('Second reader').click()
    await playground.answer(1).getByText('one', { exact: true }).waitFor()
    await playground.button('Slow reader').click()
    run.yield({ type: 'delta', tool_calls: [{ index: 0, id: 'a', function: { name: 'find', arguments: '{}' } }] })
    await playground.page.locator('.call').last().waitFor()
    expect(await violations(playground)).toEqual([])

    run.yield({ type: 'done', finish_reason: 'tool_calls' })
    await playground.page.locator('.verdict').waitFor()
    await playground.page.getByLabel('Result of find').waitFor()
    for (const line of await playground.page.locator('button.opener').all()) await line.click()
    expect(await violations(playground)).toEqual([])
    await playground.page.getByLabel('Second reader as').selectOption('Responses')
    await playground.page.locator('.verdict').waitFor()
    await playground.button('Edit').click()
    expect(await violations(playground)).toEqual([])

    const away = await playground.ask()
    away.text('one')
    await playground.reads(playground.answer(), 'one')
    await playground.button('Raw frames').click()
    await playground.page.route('**/v1/streams/*', (route) => route.abort())
    await playground.button('Cut').click()
    await playground.page.locator('.reconnecting').waitFor()
    expect(await violations(playground)).toEqual([])
    await playground.page.unroute('**/v1/streams/*')
    away.done()
    await playground.page.locator('.reconnecting').waitFor({ state: 'detached' })

    const failing = await playground.ask()
    failing.fail(new Error('no'))
    await playground.page.locator('.note.failed').waitFor()
    expect(await violations(playground)).toEqual([])
  })

  it.each(DEVICES)('has nothing that axe objects to about keys and links %s', async (_, context) => {
    const options = { settings: withKeys(), context: { ...context, bypassCSP: true } }
    const playground = await PlaygroundPage.open(program, options)
    expect(await violations(playground)).toEqual([])
    await playground.useKey('wrong')
    await playground.access.getByText('does not know').waitFor()
    expect(await violations(playground)).toEqual([])
    await playground.useKey(KEY)
    await playground.listsModels()
    await playground.access.getByText('works').waitFor()
    const run = await playground.ask()
    run.text('one')
    await playground.share()
    expect(await violations(playground)).toEqual([])
    expect(await playground.page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
  })

  it('fits a phone without scrolling sideways', async () => {
    const playground = await PlaygroundPage.open(program, { context: { viewport: { width: 390, height: 844 } } })
    const run = await playground.ask(`A long word: ${'x'.repeat(200)}`)
    run.text('y'.repeat(300))
    await playground.reads(playground.answer(), 'y'.repeat(300))
    expect(await playground.page.evaluate<number>('document.documentElement.scrollWidth')).toBe(390)
  })

  it('works with the keyboard alone', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page } = playground
    const focused = () =>
      page.evaluate<string>('document.activeElement.id || document.activeElement.textContent.trim()')
    const tabTo = async (name: string) => {
      for (let presses = 0; (await focused()) !== name; presses++) {
        expect(presses).toBeLessThan(40)
        await page.keyboard.press('Tab')
      }
    }
    await tabTo('model')
    await page.keyboard.type('scripted')
    await page.keyboard.press('Shift+Tab')
    expect(await focused()).toBe('message')
    await page.keyboard.type('one')
    await page.keyboard.press('Shift+Enter')
    await page.keyboard.type('two')
    await page.keyboard.press('Enter')
    await page.locator('.question .text').waitFor()
    expect(await page.locator('.question .text').textContent()).toBe('one\ntwo')
    expect(await focused()).toBe('message')
    await tabTo('slow')
    await page.keyboard.press('Space')
    expect(await page.locator('#slow').getAttribute('aria-pressed')).toBe('true')
    await page.keyboard.press('Escape')
    await playground.frames('done').filter({ hasText: 'cancelled' }).waitFor()
    await tabTo('reload')
    await page.keyboard.press('Enter')
    await page.locator('.note').filter({ hasText: 'cancelled' }).waitFor()
  })

  it('reads an answer aloud in sentences', async () => {
    const playground = await PlaygroundPage.open(program)
    const announced = playground.page.getByRole('log')
    const run = await playground.ask()
    run.text('One sen')
    await playground.reads(playground.answer(), 'One sen')
    run.text('tence. And a')
    await announced.getByText('One sentence.', { exact: true }).waitFor()
    run.text('nother one.')
    run.done()
    // One announcement, or two on a machine that is slow to tell the end.
    await announced.getByText('And another one.').waitFor()
    await announced.getByText('The answer is over: stop · about 7 tokens · scripted.').waitFor()
  })
})
