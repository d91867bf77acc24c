import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Claim, Increment } from '../../src/access/limit-store.ts'
import type { Backplane, NameClaim, RecordLifetimes } from '../../src/store/backplane/backplane.ts'

export interface BackplaneSubject {
  backplane: Backplane
  /** Another connection to the same. */
  other: Backplane
  /** Lets this time pass at once: nothing else does, or not enough of it to matter. */
  pass: (milliseconds: number) => Promise<void>
}

const A_MINUTE = 60_000

export const LIFETIMES: RecordLifetimes = {
  retentionMs: 3 * A_MINUTE,
  tombstoneMs: 5 * A_MINUTE,
  runningMs: 6 * A_MINUTE,
}

/** Events `first` to `last` as pieces of one event. */
function pieces(first: number, last: number) {
  return Array.from({ length: last - first + 1 }, (_, i) => ({ last: first + i, json: `{"first":${first + i}}` }))
}

const jsonOf = (first: number, last: number) => pieces(first, last).map(({ json }) => json)

function append(id: string, first: number, last: number, ends = false) {
  return { id, after: first - 1, pieces: pieces(first, last), ends }
}

/** Asks only where the stream is. */
const ask = (id: string, after: number) => ({ id, after, pieces: [], ends: false })

const stream = (id: string, kept?: string) => ({ id, info: `{"id":"${id}","é":"→"}`, kept, lease: 'lease-1' })

const nameClaim = (id: string | undefined, more: Partial<NameClaim> = {}): NameClaim => ({
  id,
  fingerprint: 'f',
  resuming: false,
  ...more,
})

const sum = (name: string, amount: number, lastsMs = A_MINUTE): Increment => ({ name, amount, lastsMs })
const claim = (name: string, amount: number, most = Infinity, lastsMs = A_MINUTE): Claim => ({
  ...sum(name, amount, lastsMs),
  most,
})
const gauge = (name: string, amount: number, most = Infinity) => claim(name, amount, most, Infinity)

/** What every backplane does. */
export function describeBackplane(
  backend: string,
  start: (lifetimes: RecordLifetimes) => Promise<BackplaneSubject>,
): void {
  const begin = () => start(LIFETIMES)

  describe(`${backend}: streams`, () => {
    it('finds a registered stream from everywhere, and no other', async () => {
      const { backplane, other } = await begin()
      await backplane.createStream(stream('s', '{"kept":1}'))
      const { id: _, ...given } = stream('s', '{"kept":1}')
      const found = { ...given, last: 0, ended: false, expired: false }
      expect(await backplane.findStream('s')).toStrictEqual(found)
      expect(await other.findStream('s')).toStrictEqual(found)
      expect(await other.findStream('t')).toBeUndefined()
      await other.createStream(stream('t'))
      expect((await backplane.findStream('t'))?.kept).toBeUndefined()
    })

    it('registers a stream once, however often it is told to', async () => {
      const { backplane, other } = await begin()
      await backplane.createStream(stream('s', 'first'))
      await backplane.append(append('s', 1, 2), false)
      await other.createStream(stream('s', 'second'))
      expect(await other.findStream('s')).toMatchObject({ kept: 'first', last: 2 })
      expect(await other.readPieces('s', 0, 10)).toEqual(jsonOf(1, 2))
    })

    it('stores pieces in order, and reads them from any event', async () => {
      const { backplane, other } = await begin()
      await backplane.createStream(stream('s'))
      expect(await backplane.append(append('s', 1, 3), false)).toEqual({ status: 'stored', last: 3 })
      const json = '{"first":4,"texts":["é","→","𝄞"]}'
      expect(await backplane.append({ id: 's', after: 3, pieces: [{ last: 6, json }], ends: false }, false)).toEqual({
        status: 'stored',
        last: 6,
      })
      expect(await other.findStream('s')).toMatchObject({ last: 6, ended: false })
      expect(await other.readPieces('s', 0, 10)).toEqual([...jsonOf(1, 3), json])
      expect(await other.readPieces('s', 1, 10)).toEqual([...jsonOf(2, 3), json])
      expect(await other.readPieces('s', 1, 2)).toEqual(jsonOf(2, 3))
      expect(await other.readPieces('s', 4, 10)).toEqual([json])
      expect(await other.readPieces('s', 6, 10)).toEqual([])
      expect(await other.readPieces('t', 0, 10)).toEqual([])
    })

    it('stores nothing that does not follow the last event, such as a repeated append', async () => {
      const { backplane, other } = await begin()
      await backplane.createStream(stream('s'))
      await backplane.append(append('s', 1, 3), false)
      const misplaced = { status: 'misplaced', last: 3 }
      expect(await backplane.append(append('s', 1, 3), false)).toEqual(misplaced)
      expect(await other.append(append('s', 3, 5), false)).toEqual(misplaced)
      expect(await other.append(append('s', 5, 6, true), false)).toEqual(misplaced)
      expect(await other.readPieces('s', 0, 10)).toEqual(jsonOf(1, 3))
      expect(await other.findStream('s')).toMatchObject({ last: 3, ended: false })
    })

    it('stores the pieces of one of several writers', async () => {
      const { backplane, other } = await begin()
      await backplane.createStream(stream('s'))
      const appended = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? backplane : other).append(append('s', 1, 2), false)),
      )
      expect(appended.filter(({ status }) => status === 'stored')).toHaveLength(1)
      expect(appended.filter(({ status, last }) => status === 'misplaced' && last === 2)).toHaveLength(19)
      expect(await other.readPieces('s', 0, 10)).toEqual(jsonOf(1, 2))
    })

    it('stores the appends of one writer in their order, though it waits for none', async () => {
      const { backplane, other } = await begin()
      const created = backplane.createStream(stream('s'))
      const appended = await Promise.all(
        Array.from({ length: 20 }, (_, i) => backplane.append(append('s', i + 1, i + 1), false)),
      )
      await created
      expect(appended.map(({ last }) => last)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
      expect(await other.readPieces('s', 0, 100)).toEqual(jsonOf(1, 20))
    })

    it('stores nothing after the end, and says where that is', async () => {
      const { backplane, other } = await begin()
      await backplane.createStream(stream('s'))
      expect(await backplane.append(append('s', 1, 3, true), false)).toEqual({ status: 'stored', last: 3 })
      const ended = { status: 'ended', last: 3 }
      expect(await backplane.append(append('s', 1, 3, true), false)).toEqual(ended)
      expect(await other.append(append('s', 4, 5), false)).toEqual(ended)
      expect(await other.append(ask('s', 3), false)).toEqual(ended)
      expect(await other.findStream('s')).toMatchObject({ last: 3, ended: true, expired: false })
      expect(await other.readPieces('s', 0, 10)).toEqual(jsonOf(1, 3))
    })

    it('says where a stream is, without pieces', async () => {
      const { backplane } = await begin()
      expect(await backplane.append(ask('s', 0), true)).toMatchObject({ status: 'missing' })
      await backplane.createStream(stream('s'))
      expect(await backplane.append(ask('s', 0), true)).toEqual({ status: 'stored', last: 0 })
      await backplane.append(append('s', 1, 3), false)
      expect(await backplane.append(ask('s', 3), true)).toEqual({ status: 'stored', last: 3 })
      expect(await backplane.append(ask('s', 1), true)).toEqual({ status: 'misplaced', last: 3 })
    })

    it('has no place for the pieces of an unknown stream', async () => {
      const { backplane } = await begin()
      expect(await backplane.append(append('s', 1, 3), true)).toMatchObject({ status: 'missing' })
      expect(await backplane.findStream('s')).toBeUndefined()
      expect(await backplane.readPieces('s', 0, 10)).toEqual([])
    })

    it('lets a finished stream expire, and forgets that in turn', async () => {
      const { backplane, other, pass } = await begin()
      await backplane.createStream(stream('s'))
      await backplane.append(append('s', 1, 3, true), false)
      await pass(LIFETIMES.retentionMs)
      expect(await other.findStream('s')).toMatchObject({ info: stream('s').info, expired: true })
      // Whoever follows the stream gets its end.
      expect(await other.readPieces('s', 2, 10)).toEqual(jsonOf(3, 3))
      await backplane.createStream(stream('s'))
      expect(await other.findStream('s')).toMatchObject({ expired: true })
      await pass(LIFETIMES.tombstoneMs)
      expect(await other.findStream('s')).toBeUndefined()
    })

    it('forgets a running stream of which nothing is heard', async () => {
      const { backplane, other, pass } = await begin()
      await backplane.createStream(stream('silent'))
      await backplane.createStream(stream('renewed'))
      await backplane.append(append('silent', 1, 1), false)
      await backplane.append(append('renewed', 1, 1), false)
      await pass(LIFETIMES.runningMs / 2)
      await backplane.append(append('silent', 2, 2), false)
      await backplane.append(ask('renewed', 1), true)
      await pass(LIFETIMES.runningMs / 2)
      expect(await other.findStream('silent')).toBeUndefined()
      expect(await backplane.append(append('silent', 3, 3), false)).toMatchObject({ status: 'missing' })
      expect(await other.readPieces('silent', 0, 10)).toEqual([])
      expect(await other.findStream('renewed')).toMatchObject({ last: 1, expired: false })
    })

    it('drops a stream, with a tombstone or without', async () => {
      const { backplane, other, pass } = await begin()
      for (const id of ['expired', 'unknown']) {
        await backplane.createStream(stream(id))
        await backplane.append(append(id, 1, 3), false)
        await backplane.dropStream(id, id === 'expired')
        expect(await other.readPieces(id, 0, 10)).toEqual([])
        const status = id === 'expired' ? 'ended' : 'missing'
        expect(await other.append(append(id, 4, 4), false)).toMatchObject({ status })
      }
      expect(await other.findStream('expired')).toMatchObject({ info: stream('expired').info, expired: true })
      expect(await other.findStream('unknown')).toBeUndefined()
      await pass(LIFETIMES.tombstoneMs)
      expect(await other.findStream('expired')).toBeUndefined()
    })
  })

  describe(`${backend}: names`, () => {
    it('gives a name to one of many that claim it at once', async () => {
      const { backplane, other } = await begin()
      const claimed = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? backplane : other).claimName('n', nameClaim(`s${i}`))),
      )
      const winner = claimed.findIndex(({ status }) => status === 'claimed')
      const joined = { status: 'joined', id: `s${winner}` }
      expect(claimed.filter((_, i) => i !== winner)).toEqual(Array.from({ length: 19 }, () => joined))
      expect(await other.findName('n')).toBe(`s${winner}`)
    })

    it('answers a repeated claim as it did the first time', async () => {
      const { backplane } = await begin()
      expect(await backplane.claimName('n', nameClaim('s'))).toEqual({ status: 'claimed' })
      expect(await backplane.claimName('n', nameClaim('s'))).toEqual({ status: 'claimed' })
      expect(await backplane.claimName('n', nameClaim(undefined, { resuming: true }))).toEqual({
        status: 'joined',
        id: 's',
      })
    })

    it('looks without claiming', async () => {
      const { backplane } = await begin()
      expect(await backplane.claimName('n', nameClaim(undefined))).toEqual({ status: 'claimed' })
      expect(await backplane.findName('n')).toBeUndefined()
      await backplane.claimName('n', nameClaim('s'))
      expect(await backplane.claimName('n', nameClaim(undefined))).toEqual({ status: 'joined', id: 's' })
    })

    it('tells a claim with another fingerprint', async () => {
      const { backplane, other } = await begin()
      await backplane.claimName('n', nameClaim('s'))
      const conflict = { status: 'conflict' }
      expect(await other.claimName('n', nameClaim('t', { fingerprint: 'g' }))).toEqual(conflict)
      expect(await other.claimName('n', nameClaim(undefined, { fingerprint: 'g', resuming: true }))).toEqual(conflict)
      await backplane.settleName('n', 's')
      expect(await other.claimName('n', nameClaim('t', { fingerprint: 'g' }))).toEqual(conflict)
    })

    it('joins a stream that has ended', async () => {
      const { backplane, other } = await begin()
      await backplane.claimName('n', nameClaim('first'))
      await backplane.settleName('n', 'first')
      expect(await other.claimName('n', nameClaim('second'))).toEqual({ status: 'joined', id: 'first' })
    })

    it('replaces a stale stream, whatever its fingerprint', async () => {
      const { backplane, other } = await begin()
      await backplane.claimName('n', nameClaim('s'))
      const stale = { stale: 's', fingerprint: 'g' }
      expect(await other.claimName('n', nameClaim(undefined, { ...stale, resuming: true }))).toEqual({ status: 'gone' })
      expect(await other.claimName('n', nameClaim('t', stale))).toEqual({ status: 'claimed' })
      expect(await other.claimName('n', nameClaim('u', stale))).toEqual({ status: 'joined', id: 't' })
      expect(await other.claimName('n', nameClaim(undefined, { fingerprint: 'g', resuming: true }))).toEqual({
        status: 'gone',
      })
    })

    it('resumes nothing by a name that nobody has', async () => {
      const { backplane } = await begin()
      expect(await backplane.claimName('n', nameClaim('s', { resuming: true }))).toEqual({ status: 'gone' })
      expect(await backplane.findName('n')).toBeUndefined()
    })

    it('gives a name away, whoever had it', async () => {
      const { backplane, other } = await begin()
      await backplane.setName('n', 's')
      await backplane.setName('n', 't')
      expect(await other.findName('n')).toBe('t')
      expect(await other.findName('m')).toBeUndefined()
    })

    it('keeps a settled name for the retention, and no name of another stream', async () => {
      const { backplane, other, pass } = await begin()
      await backplane.claimName('n', nameClaim('s'))
      await backplane.claimName('m', nameClaim('s'))
      await backplane.settleName('n', 's')
      await backplane.settleName('m', 't')
      await pass(LIFETIMES.retentionMs)
      expect(await other.findName('n')).toBeUndefined()
      expect(await other.claimName('m', nameClaim('u'))).toEqual({ status: 'joined', id: 's' })
      expect(await other.claimName('n', nameClaim('u'))).toEqual({ status: 'claimed' })
    })
  })

  describe(`${backend}: leases`, () => {
    it('holds a lease for its time, as long as it is renewed', async () => {
      const { backplane, other, pass } = await begin()
      expect(await backplane.renewLease('l', 3 * A_MINUTE)).toBe(false)
      await pass(2 * A_MINUTE)
      expect(await backplane.renewLease('l', 3 * A_MINUTE)).toBe(true)
      await pass(2 * A_MINUTE)
      expect(await other.areHeld(['k', 'l'])).toEqual([false, true])
      await pass(2 * A_MINUTE)
      expect(await other.areHeld(['l', 'k'])).toEqual([false, false])
      expect(await backplane.renewLease('l', 3 * A_MINUTE)).toBe(false)
    })

    it('ends a lease at once', async () => {
      const { backplane, other } = await begin()
      await backplane.renewLease('l', A_MINUTE)
      await other.endLease('l')
      await other.endLease('unknown')
      expect(await backplane.areHeld(['l'])).toEqual([false])
      expect(await backplane.areHeld([])).toEqual([])
      expect(await backplane.renewLease('l', A_MINUTE)).toBe(false)
    })
  })

  describe(`${backend}: inboxes`, () => {
    /** Everything that arrives in an inbox, and a wait for so many messages. */
    const listen = (backplane: Backplane, inbox: string) => {
      const messages: string[] = []
      let wake = () => {}
      const onMessages = (more: readonly string[]) => {
        messages.push(...more)
        wake()
      }
      backplane.listen(inbox, onMessages, () => {})
      return {
        messages,
        until: async (count: number) => {
          while (messages.length < count) await new Promise<void>((resolve) => (wake = resolve))
          return messages
        },
      }
    }

    /** Until messages to this inbox arrive: some subjects take a moment to listen. */
    const listening = async (from: Backplane, at: Backplane, inbox: string) => {
      const heard = listen(at, inbox)
      await from.post(inbox, ['first'])
      await heard.until(1)
      return heard
    }

    it('delivers messages in order, in a later turn', async () => {
      const { backplane, other } = await begin()
      const { messages, until } = await listening(other, backplane, 'i')
      const posted = [other.post('i', ['a', 'b']), other.post('i', []), other.post('i', ['c é → 𝄞'])]
      expect(messages).toEqual(['first'])
      await Promise.all(posted)
      expect(await until(4)).toEqual(['first', 'a', 'b', 'c é → 𝄞'])
    })

    it('delivers the messages of many in the order of each, each once', async () => {
      const { backplane, other } = await begin()
      const { until } = await listening(other, backplane, 'i')
      const posted = Array.from({ length: 200 }, (_, i) =>
        (i % 2 === 0 ? backplane : other).post('i', [`${i % 2} ${i}`]),
      )
      await Promise.all(posted)
      const [, ...messages] = await until(201)
      for (const each of ['0', '1'])
        expect(messages.filter((message) => message.startsWith(each))).toEqual(
          Array.from({ length: 100 }, (_, i) => `${each} ${2 * i + Number(each)}`),
        )
    })

    it('delivers to the inbox that was named', async () => {
      const { backplane, other } = await begin()
      const one = await listening(other, backplane, 'one')
      const two = await listening(backplane, other, 'two')
      await other.post('one', ['to one'])
      await backplane.post('two', ['to two'])
      await other.post('nobody’s', ['lost'])
      expect(await one.until(2)).toEqual(['first', 'to one'])
      expect(await two.until(2)).toEqual(['first', 'to two'])
    })

    it('lets a listener post', async () => {
      const { backplane, other } = await begin()
      const answers = await listening(other, backplane, 'answers')
      other.listen(
        'questions',
        (questions) => void other.post('answers', questions),
        () => {},
      )
      await nextTurn()
      await backplane.post('questions', ['ping'])
      expect(await answers.until(2)).toEqual(['first', 'ping'])
    })
  })

  describe(`${backend}: secrets`, () => {
    it('keeps the first secret of each name', async () => {
      const { backplane, other } = await begin()
      const secrets = await Promise.all([
        backplane.secret('n', 'one'),
        other.secret('n', 'two'),
        backplane.secret('n', 'three'),
      ])
      expect(new Set(secrets).size).toBe(1)
      expect(await other.secret('n', 'four')).toBe(secrets[0])
      expect(await other.secret('m', 'five')).toBe('five')
    })
  })

  describe(`${backend}: counters`, () => {
    const usedOf = async (backplane: Backplane, each: Claim) =>
      (await backplane.take([{ ...each, amount: 0 }], 'l')).counters[0]?.used

    it('takes to the unit when many ask at once', async () => {
      const { backplane, other } = await begin()
      const taken = await Promise.all(
        Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? backplane : other).take([claim('c', 1, 70)], 'l')),
      )
      expect(taken.filter(({ ok }) => ok)).toHaveLength(70)
      expect(await usedOf(other, claim('c', 1))).toBe(70)
    })

    it('takes all claims or none', async () => {
      const { backplane, other } = await begin()
      await backplane.renewLease('l', A_MINUTE)
      const both = [claim('wide', 5, 100), gauge('g', 1, 2), claim('narrow', 5, 8)]
      expect(await backplane.take(both, 'l')).toMatchObject({
        ok: true,
        counters: [{ used: 5 }, { used: 1 }, { used: 5 }],
      })
      expect(await other.take(both, 'l')).toMatchObject({
        ok: false,
        counters: [{ used: 5 }, { used: 1 }, { used: 5 }],
      })
      expect(await usedOf(other, claim('wide', 5))).toBe(5)
    })

    it('begins again when the time of a counter is over, counted from its first amount', async () => {
      const { backplane, other, pass } = await begin()
      const [first] = (await backplane.take([claim('c', 10, 10, 2 * A_MINUTE)], 'l')).counters
      expect(first?.endsInMs).toBeGreaterThan(0)
      expect(first?.endsInMs).toBeLessThanOrEqual(2 * A_MINUTE)
      await pass(A_MINUTE)
      const [second] = (await other.take([claim('c', 1, 10, 2 * A_MINUTE)], 'l')).counters
      expect(second?.endsInMs).toBeLessThanOrEqual(A_MINUTE)
      await pass(A_MINUTE)
      expect(await other.take([claim('c', 1, 10, 2 * A_MINUTE)], 'l')).toMatchObject({
        ok: true,
        counters: [{ used: 1 }],
      })
    })

    it('adds without a check, and does not lose count of any number', async () => {
      const { backplane, other } = await begin()
      await backplane.take([claim('c', 9, 10)], 'l')
      expect(await backplane.add(sum('c', 5), 'l')).toMatchObject({ used: 14 })
      expect(await other.take([claim('c', 1, 10)], 'l')).toMatchObject({ ok: false, counters: [{ used: 14 }] })
      await backplane.add(sum('c', Number.MAX_SAFE_INTEGER), 'l')
      await other.add(sum('c', Number.MAX_SAFE_INTEGER), 'l')
      expect(await usedOf(other, claim('c', 1))).toBe(Number.MAX_SAFE_INTEGER)
      expect(await other.take([claim('c', 1, 10)], 'l')).toMatchObject({ ok: false })
    })

    it('gives back, but not more than there is, and nothing of counters that have ended', async () => {
      const { backplane, other, pass } = await begin()
      await backplane.take([claim('c', 9, 10), claim('short', 9, 10, A_MINUTE / 2)], 'l')
      await other.giveBack([{ name: 'c', amount: 4 }], 'l')
      expect(await usedOf(backplane, claim('c', 1))).toBe(5)
      await other.giveBack([{ name: 'c', amount: 40 }], 'l')
      await other.giveBack([{ name: 'unknown', amount: 40 }], 'l')
      expect(await usedOf(backplane, claim('c', 1))).toBe(0)
      expect(await usedOf(backplane, claim('unknown', 1))).toBe(0)
      await pass(A_MINUTE / 2)
      await other.giveBack([{ name: 'short', amount: 9 }], 'l')
      expect(await usedOf(backplane, claim('short', 1))).toBe(0)
    })

    it('sets what a lease holds of gauges, and nothing of other leases', async () => {
      const { backplane, other } = await begin()
      await backplane.renewLease('l', A_MINUTE)
      await other.renewLease('m', A_MINUTE)
      await backplane.take([gauge('g', 2, 9), gauge('h', 2, 9)], 'l')
      await other.take([gauge('g', 3, 9)], 'm')
      const amounts = [
        { name: 'g', amount: 4 },
        { name: 'h', amount: 0 },
        { name: 'i', amount: 1 },
      ]
      for (let times = 0; times < 2; times++) await backplane.hold(amounts, 'l')
      expect(await usedOf(other, gauge('g', 1, 9))).toBe(7)
      expect(await usedOf(other, gauge('h', 1, 9))).toBe(0)
      expect(await usedOf(other, gauge('i', 1, 9))).toBe(1)
    })

    it('counts the gauges of all leases together, until they are given back', async () => {
      const { backplane, other } = await begin()
      await backplane.renewLease('l', A_MINUTE)
      await other.renewLease('m', A_MINUTE)
      expect(await backplane.take([gauge('g', 1, 2)], 'l')).toMatchObject({
        ok: true,
        counters: [{ used: 1, endsInMs: Infinity }],
      })
      expect(await other.take([gauge('g', 1, 2)], 'm')).toMatchObject({ ok: true, counters: [{ used: 2 }] })
      expect(await other.take([gauge('g', 1, 2)], 'm')).toMatchObject({ ok: false, counters: [{ used: 2 }] })
      await backplane.giveBack([{ name: 'g', amount: 1 }], 'l')
      // That of the other node is not `l`’s to give back.
      await backplane.giveBack([{ name: 'g', amount: 1 }], 'l')
      expect(await usedOf(backplane, gauge('g', 1))).toBe(1)
    })

    it('drops the gauges of a lease that ends or is not renewed', async () => {
      const { backplane, other, pass } = await begin()
      await backplane.renewLease('l', A_MINUTE)
      await other.renewLease('m', A_MINUTE / 2)
      await other.renewLease('n', A_MINUTE)
      await backplane.take([gauge('g', 1)], 'l')
      await other.take([gauge('g', 2)], 'm')
      await other.take([gauge('g', 4)], 'n')
      expect(await usedOf(backplane, gauge('g', 1))).toBe(7)
      await pass(A_MINUTE / 2)
      expect(await usedOf(backplane, gauge('g', 1))).toBe(5)
      await backplane.endLease('n')
      expect(await usedOf(backplane, gauge('g', 1))).toBe(1)
    })
  })

  describe(`${backend}: usage`, () => {
    it('adds up the numbers of a day by field', async () => {
      const { backplane, other } = await begin()
      await backplane.addUsage(
        '2026-01-31',
        new Map([
          ['a', 1],
          ['b é', 2],
        ]),
      )
      await other.addUsage(
        '2026-01-31',
        new Map([
          ['b é', 3],
          ['c', 4],
        ]),
      )
      await other.addUsage('2026-02-01', new Map([['a', 5]]))
      expect(await backplane.readUsage('2026-01-31')).toEqual(
        new Map([
          ['a', 1],
          ['b é', 5],
          ['c', 4],
        ]),
      )
      expect(await backplane.readUsage('2026-02-01')).toEqual(new Map([['a', 5]]))
      expect(await backplane.readUsage('2026-02-02')).toEqual(new Map())
    })
  })
}
