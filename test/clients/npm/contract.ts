import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openReader } from './open-reader.ts'
import type { ReaderKind } from './reader-kind.ts'

/** A request without a cursor. */
const FRESH = [undefined, 200]

/** What a client makes of the gateway when the network is bad. */
export function readerContract(kind: ReaderKind): void {
  describe(`the npm package ${kind.name}`, () => {
    it('comes back by itself after every cut, misses nothing and is told nothing twice', async () => {
      const { provider, proxy, start, asked } = await openReader(kind)
      const { run, events, text, done } = await start()
      run.text('one ')
      await text('one ')
      proxy.cut()
      run.text('two ')
      await text('one two ')
      // Half a frame arrives, which the reader has to forget.
      proxy.cutAfter('event: delta\ndata: {"cont'.length)
      run.text('three ')
      await text('one two three ')
      // All but the line break that makes a frame of it.
      proxy.cutAfter('event: delta\ndata: {"content":"four "}\nid: 4\n'.length)
      run.text('four ')
      await text('one two three four ')
      run.done()
      await done()

      expect(events()).toStrictEqual([
        ['delta', 1, 'one '],
        ['delta', 2, 'two '],
        ['delta', 3, 'three '],
        ['delta', 4, 'four '],
        ['done', 5, 'stop'],
      ])
      expect(asked()).toStrictEqual([FRESH, ['1', 200], ['2', 200], ['3', 200]])
      expect(provider.runs).toHaveLength(1)
    })

    it('is handed no empty event, however long the silence', async () => {
      const { gateway, start } = await openReader(kind, { heartbeatMs: 10 })
      const { run, events, text, done } = await start()
      const heartbeats = (times: number) =>
        expect.poll(() => gateway.metric('sluice_heartbeats_sent_total')).toBeGreaterThanOrEqual(times)
      await heartbeats(5)
      run.text('at last')
      await text('at last')
      await heartbeats(20)
      run.done()
      await done()
      expect(events()).toStrictEqual([
        ['delta', 1, 'at last'],
        ['done', 2, 'stop'],
      ])
    })

    it('asks nothing more once the stream has ended, it was closed or was refused', async () => {
      const { gateway, proxy, start, beRefused, asked, outwait } = await openReader(kind)
      await beRefused()

      const { posts, askedAfterEnd } = kind
      if (askedAfterEnd) {
        const open = await start({ leftOpen: true })
        open.run.text('all of it')
        open.run.done()
        await open.done()
        await proxy.requests.until((all) => all.length >= 2 + askedAfterEnd.length)
      }

      const ended = await start()
      ended.run.text('all of it')
      ended.run.done()
      await ended.done()

      const left = await start()
      left.run.text('one ')
      await left.text('one ')
      await left.close()
      await expect.poll(() => gateway.metric('sluice_connections_open{protocol="native"}')).toBe(0)
      left.run.text('two ')

      const before = asked()
      await outwait()
      const refused = [undefined, posts ? 400 : 404]
      expect(before).toStrictEqual([refused, ...(askedAfterEnd ? [FRESH, ...askedAfterEnd] : []), FRESH, FRESH])
      // Those of whoever was outwaiting, and no other.
      expect(asked().slice(before.length)).toStrictEqual([FRESH, FRESH, FRESH, FRESH])
      expect(left.events()).toStrictEqual([['delta', 1, 'one ']])
      // Leaving is not stopping.
      expect(left.run.signal.aborted).toBe(false)
    })

    it('hears of the end when the stream is stopped', async () => {
      const { start } = await openReader(kind)
      const { run, events, text, done, stop } = await start()
      run.text('one ')
      await text('one ')
      await stop()
      await run.aborted
      await done()
      expect(events()).toStrictEqual([
        ['delta', 1, 'one '],
        ['done', 2, 'cancelled'],
      ])
    })

    it('receives the text as it is: separators of lines, and an emoji whose halves came one after the other', async () => {
      const { start } = await openReader(kind)
      const { run, events, text, done } = await start()
      const contents = ['a\u2028b', 'c\u2029d', 'e\u0085f ', '\ud83c', '\udf0d', ' g']
      for (const content of contents) {
        run.text(content)
        // In a turn of its own, so that each could leave by itself.
        for (let turn = 0; turn < 5; turn++) await nextTurn()
      }
      await text(contents.join(''))
      run.done()
      await done()
      expect(events().filter(([, , content]) => !content.isWellFormed())).toEqual([])
    })
  })
}
