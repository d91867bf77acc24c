import { describe, expect, it } from 'vitest'
import type { Claim, LimitStore } from '../../src/access/limit-store.ts'

/** A store whose clock the test sets forward, or waits for. */
export interface LimitStoreSubject {
  store: LimitStore
  /** Lets this time pass for the store. */
  pass: (milliseconds: number) => Promise<void>
}

const MINUTE = 60_000

const claim = (name: string, amount: number, most = Infinity, lastsMs = MINUTE): Claim => ({
  name,
  amount,
  most,
  lastsMs,
})
const gauge = (name: string, most: number) => claim(name, 1, most, Infinity)

/** What every store of counters does. */
export function describeLimitStore(backend: string, start: () => Promise<LimitStoreSubject>): void {
  describe(`${backend}: a store of counters`, () => {
    /** Reads a counter without changing it. */
    const usedOf = async (store: LimitStore, name: string) => {
      const { counters } = await store.take([claim(name, 0)], 'a')
      return counters[0]?.used
    }

    it('takes amounts up to the limit and not one more', async () => {
      const { store } = await start()
      expect(await store.take([claim('c', 7, 10)], 'a')).toMatchObject({ ok: true, counters: [{ used: 7 }] })
      expect(await store.take([claim('c', 4, 10)], 'a')).toMatchObject({ ok: false, counters: [{ used: 7 }] })
      expect(await store.take([claim('c', 3, 10)], 'a')).toMatchObject({ ok: true, counters: [{ used: 10 }] })
      expect(await store.take([claim('c', 1, 10)], 'a')).toMatchObject({ ok: false, counters: [{ used: 10 }] })
    })

    it('takes all claims or none', async () => {
      const { store } = await start()
      const both = [claim('wide', 5, 100), gauge('g', 2), claim('narrow', 5, 8)]
      expect(await store.take(both, 'a')).toMatchObject({ ok: true })
      expect(await store.take(both, 'a')).toMatchObject({
        ok: false,
        counters: [{ used: 5 }, { used: 1 }, { used: 5 }],
      })
      expect(await usedOf(store, 'wide')).toBe(5)
    })

    it('takes to the unit when many ask at once', async () => {
      const { store } = await start()
      const taken = await Promise.all(Array.from({ length: 200 }, () => store.take([claim('c', 1, 70)], 'a')))
      expect(taken.filter(({ ok }) => ok)).toHaveLength(70)
      expect(await usedOf(store, 'c')).toBe(70)
    })

    it('lets a large claim that does not fit stand in the way of no small one', async () => {
      const { store } = await start()
      const amounts = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 50 : 1))
      const taken = await Promise.all(amounts.map((amount) => store.take([claim('c', amount, 69)], 'a')))
      expect(taken.filter(({ ok }) => ok)).toHaveLength(1 + 19)
      expect(await usedOf(store, 'c')).toBe(50 + 19)
    })

    it('begins again when the time of a counter is over, counted from its first amount', async () => {
      const { store, pass } = await start()
      const [first] = (await store.take([claim('c', 10, 10)], 'a')).counters
      expect(first?.endsInMs).toBeGreaterThan(MINUTE - 1000)
      await pass(MINUTE / 2)
      const [second] = (await store.take([claim('c', 1, 10)], 'a')).counters
      expect(second?.endsInMs).toBeLessThanOrEqual(MINUTE / 2)
      await pass(MINUTE / 2)
      expect(await store.take([claim('c', 1, 10)], 'a')).toMatchObject({ ok: true, counters: [{ used: 1 }] })
    })

    it('keeps a counter for more than a month', async () => {
      const { store, pass } = await start()
      const month = 31 * 24 * 60 * MINUTE
      await store.take([claim('c', 10, 10, month)], 'a')
      await pass(month - MINUTE)
      expect(await store.take([claim('c', 1, 10, month)], 'a')).toMatchObject({ ok: false })
    })

    it('adds without a check, and takes nothing more then', async () => {
      const { store } = await start()
      await store.take([claim('c', 9, 10)], 'a')
      expect(await store.add(claim('c', 5), 'a')).toMatchObject({ used: 14 })
      expect(await store.take([claim('c', 1, 10)], 'a')).toMatchObject({ ok: false, counters: [{ used: 14 }] })
    })

    it('adds any number without losing count of the limit', async () => {
      const { store } = await start()
      await store.add(claim('c', Number.MAX_SAFE_INTEGER), 'a')
      await store.add(claim('c', Number.MAX_SAFE_INTEGER), 'a')
      expect(await store.take([claim('c', 1, 10)], 'a')).toMatchObject({ ok: false })
    })

    it('gives back, but not more than there is', async () => {
      const { store } = await start()
      await store.take([claim('c', 9, 10)], 'a')
      await store.giveBack([{ name: 'c', amount: 4 }])
      expect(await usedOf(store, 'c')).toBe(5)
      await store.giveBack([{ name: 'c', amount: 40 }])
      expect(await usedOf(store, 'c')).toBe(0)
      await store.giveBack([{ name: 'unknown', amount: 40 }])
      expect(await usedOf(store, 'unknown')).toBe(0)
    })

    it('gives back nothing of a counter that has ended', async () => {
      const { store, pass } = await start()
      await store.take([claim('c', 9, 10)], 'a')
      await pass(MINUTE)
      await store.giveBack([{ name: 'c', amount: 9 }])
      expect(await usedOf(store, 'c')).toBe(0)
    })

    it('holds what a gauge has taken until it is given back', async () => {
      const { store, pass } = await start()
      expect(await store.take([gauge('g', 1)], 'a')).toMatchObject({ ok: true })
      await pass(MINUTE)
      expect(await store.take([gauge('g', 1)], 'a')).toMatchObject({ ok: false })
      await store.giveBack([{ name: 'g', amount: 1 }])
      expect(await store.take([gauge('g', 1)], 'a')).toMatchObject({ ok: true })
    })
  })
}
