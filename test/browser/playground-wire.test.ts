import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { PlaygroundPage } from '../support/playground.ts'
import { ROOT } from '../support/process.ts'
import { describeWith } from '../support/programs.ts'

const run = promisify(execFile)

describeWith('chromium', 'the wire in the playground', (program) => {
  it('shows frames letter for letter, by the line and all together', async () => {
    const playground = await PlaygroundPage.open(program)
    const stream = await playground.ask()
    stream.text('one ')
    await playground.reads(playground.answer(), 'one')
    const line = playground.frames('delta')
    await line.getByRole('button').click()
    const frame = line.locator('pre')
    await frame.getByText('event: delta').waitFor()
    stream.text('two')
    await frame.getByText('data: {"content":"two"}').waitFor()
    expect(await frame.textContent()).toMatch(/(^|\n)id: 1\n\n.*id: 2$/s)
    stream.done()
    await playground.frames('done').waitFor()

    await playground.button('Raw frames').click()
    const raw = playground.page.locator('#raw pre')
    await raw.getByText('event: done').waitFor()
    expect(await raw.textContent()).toMatch(/^retry: \d+\n/)
    expect(await raw.textContent()).toContain('event: done\ndata: {"finish_reason":"stop"')
    await playground.button('New chat').click()
    expect(await raw.count()).toBe(0)
  })

  it('shows the same stream in every other protocol, beside its own frames', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page } = playground
    const stream = await playground.ask()
    stream.text('one ')
    await playground.reads(playground.answer(), 'one')
    await playground.button('Second reader').click()
    await playground.reads(playground.answer(1), 'one')
    const protocol = page.getByLabel('Second reader as')
    await protocol.selectOption('Responses')
    await playground.reads(playground.answer(1), 'one')
    stream.text('two')
    stream.done()
    const raw = page.locator('#raw pre').nth(1)
    for (const [name, sign] of [
      ['Responses', 'event: response.completed'],
      ['Chat Completions', '"object":"chat.completion.chunk"'],
      ['Anthropic Messages', 'event: message_stop'],
      ['useChat', '"type":"text-delta"'],
    ] as const) {
      await protocol.selectOption(name)
      await page
        .locator('.verdict')
        .getByText(`Both readers have the same text, all 7 characters of it, the second as ${name}.`)
        .waitFor()
      expect(await playground.answer(1).textContent()).toBe('one two')
      expect(await raw.textContent()).toContain(sign)
      expect(await page.locator('#raw pre').first().textContent()).toContain('event: delta')
    }
    await protocol.selectOption('Sluice')
    await page.locator('.verdict').getByText('Both readers have the same answer').waitFor()
    expect(playground.complaints).toEqual([])
  })

  it('begins with nothing in a new chat', async () => {
    const playground = await PlaygroundPage.open(program)
    const figure = playground.page.locator('#figures div').filter({ hasText: 'Events' }).locator('dd')
    const stream = await playground.ask()
    stream.text('one')
    stream.done()
    await figure.getByText('2', { exact: true }).waitFor()
    await playground.button('New chat').click()
    await figure.getByText('0', { exact: true }).waitFor()
    expect(await playground.page.locator('#frames li').count()).toBe(0)
  })

  it('is followed through a frame of any size, and after a look back on demand', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page } = playground
    const latest = playground.button('Jump to latest')
    const isAtEnd = `(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight < 40)(
      document.querySelector('#conversation'))`
    const lines = (name: string) => Array.from({ length: 200 }, (_, index) => `${name} ${index}  `).join('\n')
    const stream = await playground.ask()
    stream.text(lines('line'))
    await playground.answer().getByText('line 199').waitFor()
    await page.waitForFunction(isAtEnd)
    await page.locator('#conversation').hover()
    await page.mouse.wheel(0, -600)
    await latest.waitFor()
    stream.text(lines('\n\nmore'))
    await playground.answer().getByText('more 199').waitFor()
    expect(await page.evaluate(isAtEnd)).toBe(false)
    await latest.click()
    await page.waitForFunction(isAtEnd)
    stream.text(lines('\n\nlast'))
    stream.done()
    await page.locator('.note').waitFor()
    await page.waitForFunction(isAtEnd)
    expect(await latest.isVisible()).toBe(false)
  })

  it('makes requests that are shown as programs, which run', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page } = playground
    await page.getByLabel('Model').selectOption('mock')
    await playground.button('Mock settings').click()
    await page.getByLabel('text', { exact: true }).fill(`It's "quoted" $HOME \`id\``)
    await page.getByLabel('interval_ms').fill('0')
    await playground.message.fill(`What's $HOME?`)
    await playground.button('Code').click()
    const code = page.locator('#code-text')
    const said = `It's "quoted" $HOME \`id\``

    const { stdout: frames } = await run('sh', ['-c', `${await code.textContent()}`])
    const texts = [...frames.matchAll(/^data: (.*"content".*)$/gm)].map(([, data = '']) => JSON.parse(data).content)
    expect(texts.join('')).toBe(said)

    for (const language of ['client', 'openai']) {
      await page.locator('#language').selectOption(language)
      // In this folder, programs find the packages that they import.
      const file = `${ROOT}/.shown-${language}-${process.pid}.mjs`
      onTestFinished(() => rm(file, { force: true }))
      await writeFile(file, `${await code.textContent()}`)
      const { stdout } = await run(process.execPath, [file])
      expect(stdout).toBe(said)
    }
    await page.keyboard.press('Escape')
    expect(await playground.message.inputValue()).toBe(`What's $HOME?`)
  })
})
