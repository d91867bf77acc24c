import { EventSource } from 'eventsource'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Journal, startCuttingProxy } from '../support/cutting-proxy.ts'
import { startGateway } from '../support/gateway.ts'
import { chat } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

interface Report {
  type: string
  id: number
  content: string
}

/** Opens a source; what it says is in the journal. */
function watch(url: string): { source: EventSource; reports: Journal<Report>; text: () => string } {
  const source = new EventSource(url)
  onTestFinished(() => source.close())
  const reports = new Journal<Report>()
  for (const type of ['delta', 'done']) {
    source.addEventListener(type, (event) => {
      const { lastEventId, data } = event
      reports.add({ type, id: Number(lastEventId), content: JSON.parse(data).content ?? '' })
    })
  }
  for (const type of ['open', 'error']) source.addEventListener(type, () => reports.add({ type, id: 0, content: '' }))
  return { source, reports, text: () => reports.entries.map(({ content }) => content).join('') }
}

const saw = (type: string, times: number) => (all: readonly Report[]) =>
  all.filter((report) => report.type === type).length >= times

describe('the npm package eventsource', () => {
  async function setUp() {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({}, { providers: [provider] })
    const proxy = await startCuttingProxy(gateway.url)
    const create = async () => {
      const created = await chat(gateway.url, { model: 'scripted' }, { headers: { prefer: 'respond-async' } })
      return { url: `${proxy.url}${created.headers.location}`, run: await provider.nextRun() }
    }
    /** The answers to all that was asked of one stream. */
    const reads = (url: string) =>
      proxy.requests.entries
        .filter(({ path }) => url.endsWith(path))
        .map(({ lastEventId, status }) => [lastEventId, status])
    return { proxy, create, reads }
  }

  it('comes back by itself after every cut, misses nothing and is told nothing twice', async () => {
    const { proxy, create, reads } = await setUp()
    const { url, run } = await create()
    const { reports, text } = watch(url)
    run.text('one ')
    await reports.until(() => text() === 'one ')
    proxy.cut()
    run.text('two ')
    await reports.until(() => text() === 'one two ')
    // Half a frame arrives, which the reader has to forget.
    proxy.cutAfter('id: 3\nevent: delta\ndata: {"cont'.length)
    run.text('three ')
    await reports.until(saw('error', 2))
    run.text('four')
    run.done()
    await reports.until(saw('done', 1))

    expect(text()).toBe('one two three four')
    const ids = reports.entries.flatMap(({ type, id }) => (type === 'delta' || type === 'done' ? id : []))
    expect(ids).toStrictEqual([...new Set(ids)].toSorted((a, b) => a - b))
    expect(ids.at(-1)).toBe(5)
    expect(reads(url).slice(0, 3)).toStrictEqual([
      [undefined, 200],
      ['1', 200],
      ['2', 200],
    ])
  })

  it('asks once more after `done`, is told 204 and stays closed; and asks nothing when it was closed', async () => {
    const { proxy, create, reads } = await setUp()
    const [story, closed, other] = [await create(), await create(), await create()]
    const { source, reports } = watch(story.url)
    const closing = watch(closed.url)
    closing.source.addEventListener('done', () => closing.source.close())
    for (const { run } of [story, closed]) {
      run.text('all of it')
      run.done()
    }
    await reports.until(() => source.readyState === source.CLOSED)

    // It waits 1 to 3 s before it asks again: once another one has done so three times, none still waits.
    const yardstick = watch(other.url)
    for (const times of [1, 2, 3]) {
      await yardstick.reports.until(saw('open', times))
      proxy.cut()
    }
    await yardstick.reports.until(saw('open', 4))

    expect(source.readyState).toBe(source.CLOSED)
    expect(reads(story.url)).toStrictEqual([
      [undefined, 200],
      ['2', 204],
    ])
    expect(closing.reports.entries.at(-1)).toMatchObject({ type: 'done' })
    expect(reads(closed.url)).toStrictEqual([[undefined, 200]])
  })
})
