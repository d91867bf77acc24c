import { expect, it } from 'vitest'
import { PlaygroundPage } from '../support/playground.ts'
import { describeWith } from '../support/programs.ts'

describeWith('chromium', 'answers in the playground', (program) => {
  it('are Markdown as it streams, which loads nothing, runs nothing, and leaves a selection alone', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page } = playground
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    const run = await playground.ask()
    run.text('# One\n\nSome **bold', '** text, ![picture](https://elsewhere.example/x.png), ')
    const answer = playground.answer()
    await answer.getByText('bold').waitFor()
    await page.evaluate(`getSelection().selectAllChildren(document.querySelector('.text strong'))`)
    run.text(
      '[safe](https://elsewhere.example) and [bad](javascript:alert(1)).\n\n```js\nlet a =',
      ' `b`\n```\n\n- item',
    )
    await answer.getByText('item').waitFor()
    expect(await page.evaluate('getSelection().toString()')).toBe('bold')

    const links = `[...document.querySelectorAll('.answer a')].map(({ href, rel }) => href + ' ' + rel)`
    expect(await page.evaluate(links)).toEqual([
      'https://elsewhere.example/x.png noopener noreferrer',
      'https://elsewhere.example/ noopener noreferrer',
    ])
    expect(await answer.textContent()).toContain('[bad](javascript:alert(1))')
    const code = answer.locator('pre code')
    expect(await code.textContent()).toBe('let a = `b`')
    const font = `getComputedStyle(document.querySelector('.answer pre code')).fontFamily`
    expect(await page.evaluate(font)).toContain('monospace')
    await answer.getByRole('button', { name: 'Copy code' }).click()
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe('let a = `b`')

    run.done()
    await playground.frames('done').waitFor()
    await playground.button('Copy the answer').click()
    const source = await playground.source.textContent()
    expect(source).toMatch(/^# One\n\nSome \*\*bold\*\* text/)
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(source)
    await playground.button('Raw').click()
    expect(await playground.source.isVisible()).toBe(true)
    expect(await answer.isVisible()).toBe(false)
    expect(playground.complaints).toEqual([])
  })

  it('can be asked for again, and so can another question in place of an earlier one', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page } = playground
    const answers = async (question: string, answer: string) => {
      const run = await playground.ask(question)
      run.text(answer)
      run.done()
      await playground.frames('done').waitFor()
    }
    await answers('one?', 'one.')
    await answers('two?', 'two.')
    await playground.button('Try again').click()
    const again = await playground.nextRun()
    again.text('Two, once more.')
    again.done()
    await playground.reads(playground.answer(), 'Two, once more.')
    expect(again.request.messages).toEqual([
      { role: 'user', content: 'one?' },
      { role: 'assistant', content: 'one.' },
      { role: 'user', content: 'two?' },
    ])

    await playground.frames('done').waitFor()
    await page.getByRole('button', { name: 'Edit' }).first().click()
    const field = page.getByRole('textbox', { name: 'Your message' })
    expect(await field.inputValue()).toBe('one?')
    await field.press('Escape')
    await page.getByRole('button', { name: 'Edit' }).first().click()
    await field.fill('first?')
    await field.press('Enter')
    const edited = await playground.nextRun()
    edited.done()
    await playground.frames('done').waitFor()
    expect(edited.request.messages).toEqual([{ role: 'user', content: 'first?' }])
    expect(await page.locator('.turn').count()).toBe(1)
  })

  it('are given with the system prompt and the parameters, which a reload keeps', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page } = playground
    await playground.button('Settings').click()
    await page.getByLabel('System prompt').fill('Be brief.')
    await page.getByLabel('Temperature').fill('0.5')
    await page.getByLabel('Max tokens').fill('7')
    await page.getByLabel('More fields, as JSON').fill('{"top_k":')
    await playground.button('Settings').click()
    await page.getByLabel('Model').selectOption('scripted')
    await playground.message.fill('hi')
    await playground.message.press('Enter')
    // The field that is wrong is shown, and nothing is sent.
    await page.getByLabel('More fields, as JSON').and(page.locator(':focus')).waitFor()
    expect(await playground.message.inputValue()).toBe('hi')
    await page.getByLabel('More fields, as JSON').fill('{"top_k": 3}')
    await page.reload()
    await playground.listsModels()
    const run = await playground.ask()
    expect(run.request).toMatchObject({
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'hi' },
      ],
      temperature: 0.5,
      max_tokens: 7,
      top_k: 3,
    })
    run.done()
  })

  it('that call tools go on with the results that somebody types', async () => {
    const playground = await PlaygroundPage.open(program)
    const run = await playground.ask('Weather?')
    const call = (index: number, id: string, city: string) => ({
      type: 'delta' as const,
      tool_calls: [{ index, id, type: 'function' as const, function: { name: 'weather', arguments: `"${city}"` } }],
    })
    run.yield(call(0, 'a', 'Rome'), call(1, 'b', 'Oslo'), { type: 'done', finish_reason: 'tool_calls' })
    const results = playground.page.getByLabel('Result of weather')
    await results.nth(1).waitFor()
    await results.first().fill('sun')
    await results.nth(1).fill('snow')
    await playground.button('Send results').click()
    const next = await playground.nextRun()
    next.text('Sun in Rome, snow in Oslo.')
    next.done()
    await playground.reads(playground.answer(), 'Sun in Rome, snow in Oslo.')
    const [question, called, ...told] = next.request.messages
    expect(question).toEqual({ role: 'user', content: 'Weather?' })
    expect(called).toMatchObject({ role: 'assistant', tool_calls: [{ id: 'a' }, { id: 'b' }] })
    expect(told).toEqual([
      { role: 'tool', tool_call_id: 'a', content: 'sun' },
      { role: 'tool', tool_call_id: 'b', content: 'snow' },
    ])
  })

  it('say that the gateway is away, how often it was tried, and that it has lost the stream', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page } = playground
    const away = page.locator('.reconnecting')
    const run = await playground.ask()
    run.text('one ')
    await playground.reads(playground.answer(), 'one')
    await page.route('**/v1/streams/*', (route) => route.abort())
    await playground.button('Cut').click()
    await away.getByText('Reconnecting …', { exact: true }).waitFor()
    await away.getByText('Reconnecting … (attempt 2)').waitFor()
    await page.unroute('**/v1/streams/*')
    run.text('two')
    await playground.reads(playground.answer(), 'one two')
    expect(await away.count()).toBe(0)

    const problem = { code: 'stream_not_found', detail: 'There is no such stream.', retryable: false }
    await page.route('**/v1/streams/*', (route) => route.fulfill({ status: 404, json: problem }))
    await playground.button('Cut').click()
    await playground.failure.waitFor()
    expect(await playground.failure.textContent()).toBe(
      'stream_lost: The gateway has restarted and lost the stream. Trying again may help.',
    )
    expect(await playground.answer().textContent()).toBe('one two')
    await playground.button('Try again').click()
    const again = await playground.nextRun()
    again.done()
    await playground.frames('done').waitFor()
  })

  it('are kept by the tab when the gateway no longer has them', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page } = playground
    const run = await playground.ask('Will it last?')
    run.text('It **will**.')
    run.done()
    await playground.frames('done').waitFor()
    const problem = { code: 'stream_expired', detail: 'The stream has expired.', retryable: false }
    await page.route('**/v1/streams/*', (route) => route.fulfill({ status: 410, json: problem }))
    await page.reload()
    await page.locator('.note').getByText('The gateway no longer has this answer.').waitFor()
    expect(await playground.answer().textContent()).toBe('It will.')
    expect(await page.locator('.question .text').textContent()).toBe('Will it last?')
    expect(await playground.button('Second reader').isDisabled()).toBe(true)
  })

  it('of a stream that there is not are not said to be joined', async () => {
    const playground = await PlaygroundPage.open(program)
    const { page } = playground
    await page.goto(`${playground.gateway.url}/#/str_unknown`)
    await playground.failure.getByText('stream_not_found').waitFor()
    expect(await page.locator('.joined').count()).toBe(0)
    for (const action of ['Cut', 'Slow reader', 'Second reader', 'Reload'])
      expect(await playground.button(action).isDisabled()).toBe(true)
  })
})
