import { expect, it } from 'vitest'
import { openPage } from '../support/chromium.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import { startGateway } from '../support/gateway.ts'
import { describeWith } from '../support/programs.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

/** What a source on the page said. */
interface Report {
  model: string
  type: 'open' | 'delta' | 'done' | 'error'
  id: number
  content: string
  readyState: number
}

const CONNECTING = 0
const OPEN = 1
const CLOSED = 2

/** The icon keeps the browser from asking for one. */
const PAGE = `<!doctype html>
  <link rel="icon" href="data:," />
  <script>
    async function watch(model, { closeAtDone = false } = {}) {
      const created = await fetch('/v1/chat', {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'respond-async' },
        body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] }),
      })
      const source = new EventSource(created.headers.get('location'))
      for (const type of ['open', 'delta', 'done', 'error'])
        source.addEventListener(type, ({ lastEventId, data = '{}' }) => {
          if (type === 'done' && closeAtDone) source.close()
          const { content = '' } = JSON.parse(data)
          report({ model, type, id: Number(lastEventId), content, readyState: source.readyState })
        })
      return new URL(source.url).pathname
    }
  </script>`

describeWith('chromium', 'the EventSource of a browser', (program) => {
  async function setUp() {
    const story = new ScriptedProvider('story')
    const closed = new ScriptedProvider('closed')
    const providers = [story, closed, new ScriptedProvider('other')]
    const gateway = await startGateway({}, { providers })
    const proxy = await startCuttingProxy(gateway.url, { page: PAGE })
    const { page, reports } = await openPage<Report>(program, proxy.url)
    const watch = async (model: string, options = {}) =>
      page.evaluate<string>(`watch('${model}', ${JSON.stringify(options)})`)
    const reportsOf = (model: string) => reports.entries.filter((report) => report.model === model)
    /** The answers to all that was asked of one stream. */
    const reads = (path: string) =>
      proxy.requests.entries
        .filter((request) => request.path === path)
        .map(({ lastEventId, status }) => [lastEventId, status])
    return { story, closed, proxy, reports, watch, reportsOf, reads }
  }

  it('comes back by itself after every cut, misses nothing and is told nothing twice', async () => {
    const { story, proxy, reports, watch, reportsOf, reads } = await setUp()
    const text = () =>
      reportsOf('story')
        .map(({ content }) => content)
        .join('')
    const path = await watch('story')
    const run = await story.nextRun()
    run.text('one ')
    await reports.until(() => text() === 'one ')
    proxy.cut()
    run.text('two ')
    await reports.until(() => text() === 'one two ')
    // Half a frame arrives, which the browser has to forget.
    proxy.cutAfter('event: delta\ndata: {"cont'.length)
    run.text('three ')
    await reports.until((all) => all.filter(({ type }) => type === 'error').length === 2)
    run.text('four ')
    await reports.until(() => text() === 'one two three four ')
    proxy.cut()
    run.text('five')
    run.done()
    await reports.until((all) => all.some(({ type }) => type === 'done'))

    expect(text()).toBe('one two three four five')
    const ids = reports.entries.flatMap(({ type, id }) => (type === 'delta' || type === 'done' ? id : []))
    expect(ids).toStrictEqual([...new Set(ids)].toSorted((a, b) => a - b))
    expect(ids.at(-1)).toBe(6)
    expect(reads(path).slice(0, 4)).toStrictEqual([
      [undefined, 200],
      ['1', 200],
      ['2', 200],
      ['4', 200],
    ])
  })

  it('asks once more after `done`, is told 204 and stays closed; and asks nothing when the page closed it', async () => {
    const { story, closed, proxy, reports, watch, reportsOf, reads } = await setUp()
    const storyPath = await watch('story')
    const closedPath = await watch('closed', { closeAtDone: true })
    for (const provider of [story, closed]) {
      const run = await provider.nextRun()
      run.text('all of it')
      run.done()
    }
    await reports.until(() => reportsOf('story').at(-1)?.readyState === CLOSED)

    // The browser waits 1 to 3 s before it asks again: once another source has done so three times, none still waits.
    await watch('other')
    for (const times of [1, 2, 3, 4]) {
      await reports.until(() => reportsOf('other').filter(({ type }) => type === 'open').length === times)
      if (times < 4) proxy.cut()
    }

    expect(reportsOf('story').map(({ type, readyState }) => [type, readyState])).toStrictEqual([
      ['open', OPEN],
      ['delta', OPEN],
      ['done', OPEN],
      ['error', CONNECTING],
      ['error', CLOSED],
    ])
    expect(reads(storyPath)).toStrictEqual([
      [undefined, 200],
      ['2', 204],
    ])
    expect(reportsOf('closed').at(-1)).toMatchObject({ type: 'done', readyState: CLOSED })
    expect(reads(closedPath)).toStrictEqual([[undefined, 200]])
  })
})
