import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Done } from '../../src/stream/events.ts'
import type { StreamLog } from '../../src/stream/stream-log.ts'
import { Budget } from '../../src/store/budget.ts'
import { noBus } from '../../src/store/bus.ts'
import { MemoryDirectory } from '../../src/store/memory-directory.ts'
import { StreamStore, type Found, type StreamInit } from '../../src/store/stream-store.ts'

const DONE: Done = { type: 'done', finish_reason: 'stop' }
const KB = 1024

interface Limits {
  retentionMs: number
  streamMaxBytes: number
  storeMaxBytes: number
}

describe('a store in memory', () => {
  let store: StreamStore

  function open(settings: Partial<Limits> = {}): StreamStore {
    const limits = { retentionMs: 1000, streamMaxBytes: 1000 * KB, storeMaxBytes: 10_000 * KB, ...settings }
    const budget = new Budget(limits.storeMaxBytes)
    store = new StreamStore({ limits, budget, directory: new MemoryDirectory(limits, budget), bus: noBus })
    return store
  }

  async function newLog(init: Partial<StreamInit> = {}): Promise<StreamLog> {
    return (await store.create({ owner: 'ada', model: 'm', provider: 'p', ...init })).log
  }

  const find = ({ info }: StreamLog, owner = info.owner) => store.find(info.id, owner)
  const statuses = async (...logs: StreamLog[]) => (await Promise.all(logs.map((log) => find(log)))).map(statusOf)

  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] }))
  afterEach(async () => {
    await store.close()
    vi.useRealTimers()
  })

  describe('finding', () => {
    it('finds the log that was created, with what it was created for', async () => {
      open()
      const { log, joined } = await store.create({ owner: 'ada', model: 'm', provider: 'p' })
      expect(joined).toBe(false)
      expect(log.info).toMatchObject({ owner: 'ada', model: 'm', provider: 'p', created: Date.now() })
      log.append({ type: 'delta', content: 'a' })
      const found = await find(log)
      expect(found.status === 'found' && found.log.read(0)).toEqual(log.read(0))
    })

    it('gives each stream an id of its own that fits in a URL', async () => {
      open()
      const ids = (await Promise.all(Array.from({ length: 100 }, () => newLog()))).map(({ info }) => info.id)
      expect(new Set(ids).size).toBe(100)
      for (const id of ids) expect(id).toMatch(/^[\w-]{20,64}$/)
    })

    it('knows nothing of an id that never was', async () => {
      open()
      expect(await store.find('str_none', 'ada')).toEqual({ status: 'unknown' })
    })

    it('shows someone else’s stream to nobody, running or finished or expired', async () => {
      open()
      const log = await newLog()
      expect(await find(log, 'bob')).toEqual({ status: 'unknown' })
      log.append(DONE)
      expect(await find(log, 'bob')).toEqual({ status: 'unknown' })
      vi.advanceTimersByTime(1000)
      expect(await find(log)).toEqual({ status: 'expired' })
      expect(await find(log, 'bob')).toEqual({ status: 'unknown' })
    })
  })

  describe('the same idempotency key', () => {
    const idempotency = { key: 'k', fingerprint: 'f' }

    it('joins the stream that it began, running or finished', async () => {
      open()
      const log = await newLog({ idempotency })
      expect(await store.create({ owner: 'ada', model: 'm', provider: 'p', idempotency })).toEqual({
        log,
        joined: true,
      })
      log.append(DONE)
      expect(await newLog({ idempotency })).toBe(log)
    })

    it('begins one stream, though it is used twice at once', async () => {
      open()
      const [first, second] = await Promise.all([newLog({ idempotency }), newLog({ idempotency })])
      expect(first).toBe(second)
    })

    it('is refused for another request', async () => {
      open()
      await newLog({ idempotency })
      await expect(newLog({ idempotency: { key: 'k', fingerprint: 'g' } })).rejects.toMatchObject({
        code: 'idempotency_conflict',
        faults: [{ path: 'Idempotency-Key' }],
      })
    })

    it('is another key when someone else uses it', async () => {
      open()
      const log = await newLog({ idempotency })
      const other = await newLog({ owner: 'bob', idempotency: { key: 'k', fingerprint: 'g' } })
      expect(other).not.toBe(log)
    })

    it('cannot be mixed up with that of an owner whose name holds a part of it', async () => {
      open()
      const log = await newLog({ owner: 'a', idempotency: { key: '","b', fingerprint: 'f' } })
      expect(await newLog({ owner: 'a","', idempotency: { key: 'b', fingerprint: 'f' } })).not.toBe(log)
    })

    it('begins a new stream once the first is gone', async () => {
      open()
      const log = await newLog({ idempotency })
      log.append(DONE)
      vi.advanceTimersByTime(1000)
      const next = await newLog({ idempotency: { key: 'k', fingerprint: 'g' } })
      expect(next.info.id).not.toBe(log.info.id)
    })
  })

  describe('an idempotency key of a reader that resumes', () => {
    const idempotency = { key: 'k', fingerprint: 'f' }
    const resuming = { ...idempotency, resuming: true }
    const error = { code: 'upstream_error', message: '…', retryable: true }

    it.each<Done>([
      { type: 'done', finish_reason: 'stop' },
      { type: 'done', finish_reason: 'cancelled' },
      { type: 'done', finish_reason: 'error', error },
    ])('joins a stream that ended with $finish_reason', async (done) => {
      open()
      const log = await newLog({ idempotency })
      log.append(done)
      expect(await newLog({ idempotency: resuming })).toBe(log)
    })

    it('begins no stream when there is none, or none any more', async () => {
      open()
      await expect(newLog({ idempotency: resuming })).rejects.toMatchObject({ code: 'stream_not_found' })
      const log = await newLog({ idempotency })
      log.append(DONE)
      vi.advanceTimersByTime(1000)
      await expect(newLog({ idempotency: resuming })).rejects.toMatchObject({ code: 'stream_not_found' })
      expect(store.bytes).toBe(0)
    })
  })

  describe('retention', () => {
    it('begins with done: a stream that runs never expires', async () => {
      open()
      const log = await newLog()
      vi.advanceTimersByTime(100_000)
      expect(await statuses(log)).toEqual(['found'])
      log.append(DONE)
      vi.advanceTimersByTime(999)
      expect(await statuses(log)).toEqual(['found'])
      vi.advanceTimersByTime(1)
      expect(await statuses(log)).toEqual(['expired'])
    })

    it('is that of each stream, not of the last', async () => {
      open()
      const [first, second] = [await newLog(), await newLog()]
      second.append(DONE)
      vi.advanceTimersByTime(600)
      first.append(DONE)
      vi.advanceTimersByTime(400)
      expect(await statuses(first, second)).toEqual(['found', 'expired'])
      vi.advanceTimersByTime(600)
      expect(await statuses(first, second)).toEqual(['expired', 'expired'])
    })

    it('is over in time for a stream that finishes while tombstones are kept', async () => {
      open()
      const first = await newLog()
      first.append(DONE)
      vi.advanceTimersByTime(1000)
      const second = await newLog()
      second.append(DONE)
      vi.advanceTimersByTime(1000)
      expect(store.bytes).toBe(0)
      expect(await statuses(first, second)).toEqual(['expired', 'expired'])
    })

    it('is remembered for a while, and then forgotten', async () => {
      open()
      const log = await newLog()
      log.append(DONE)
      vi.advanceTimersByTime(2000)
      expect(await statuses(log)).toEqual(['expired'])
      vi.advanceTimersByTime(1_000_000)
      expect(await statuses(log)).toEqual(['unknown'])
    })

    it('may be longer than the longest timer of Node', async () => {
      open({ retentionMs: 2 ** 31 - 1 })
      const log = await newLog()
      log.append(DONE)
      vi.advanceTimersByTime(1000)
      expect(await statuses(log)).toEqual(['found'])
      vi.advanceTimersByTime(2 ** 31)
      expect(await statuses(log)).toEqual(['expired'])
      expect(vi.getTimerCount()).toBe(1)
    })

    it('does not end for whoever is reading', async () => {
      open()
      const log = await newLog()
      log.append({ type: 'delta', content: 'a' })
      log.append(DONE)
      vi.advanceTimersByTime(1000)
      expect(log.read(0)!.last).toBe(2)
    })
  })

  describe('limits', () => {
    it('lets no stream grow beyond its size, and keeps what it has', async () => {
      open({ streamMaxBytes: 10 * KB })
      const log = await newLog()
      const fill = () => {
        while (true) log.append({ type: 'delta', content: 'x'.repeat(500) })
      }
      expect(fill).toThrow(expect.objectContaining({ code: 'stream_too_large' }))
      expect(log.bytes).toBeLessThanOrEqual(10 * KB)
      expect(log.last).toBeGreaterThan(10)
      // However little room is left, a stream comes to its end.
      log.append({ ...DONE, model: 'x'.repeat(10 * KB) })
      expect(log.done).toMatchObject(DONE)
    })

    it('counts what a stream takes in bytes, not in characters', async () => {
      open({ streamMaxBytes: 10 * KB })
      const log = await newLog()
      expect(() => log.append({ type: 'delta', content: '語'.repeat(4 * KB) })).toThrow(
        expect.objectContaining({ code: 'stream_too_large' }),
      )
    })

    it('drops the streams that finished first, when it is full, and remembers that they were', async () => {
      open({ storeMaxBytes: 10 * KB })
      const [first, second, third] = [await newLog(), await newLog(), await newLog()]
      second.append(DONE)
      first.append(DONE)
      third.append({ type: 'delta', content: 'x'.repeat(6 * KB) })
      const fourth = await newLog()
      expect(await statuses(first, second, third, fourth)).toEqual(['found', 'expired', 'found', 'found'])
      expect(store.bytes).toBeLessThanOrEqual(10 * KB)
    })

    it('joins the stream of a key when it is full, instead of dropping it for another', async () => {
      open({ storeMaxBytes: 5 * KB })
      const idempotency = { key: 'k', fingerprint: 'f' }
      const log = await newLog({ idempotency })
      log.append(DONE)
      ;(await newLog()).append({ type: 'delta', content: 'x'.repeat(2 * KB) })
      expect(await store.create({ owner: 'ada', model: 'm', provider: 'p', idempotency })).toEqual({
        log,
        joined: true,
      })
      await newLog()
      expect(await statuses(log)).toEqual(['expired'])
    })

    it('drops finished streams before it forgets that others were dropped', async () => {
      open({ storeMaxBytes: 6 * KB })
      const [first, second] = [await newLog(), await newLog()]
      first.append(DONE)
      vi.advanceTimersByTime(1000)
      second.append(DONE)
      const third = await newLog()
      third.append({ type: 'delta', content: 'x'.repeat(3.5 * KB) })
      expect(await statuses(first, second, third)).toEqual(['expired', 'expired', 'found'])
    })

    it('refuses a new stream when it is full of running ones, and takes one again when there is room', async () => {
      open({ storeMaxBytes: 10 * KB })
      const log = await newLog()
      log.append({ type: 'delta', content: 'x'.repeat(8 * KB) })
      await expect(newLog()).rejects.toMatchObject({
        code: 'store_full',
        retryable: true,
        retryAfter: expect.any(Number),
      })
      log.append(DONE)
      expect(await statuses(await newLog(), log)).toEqual(['found', 'expired'])
    })

    it('refuses a token when it is full of running streams, but never a done', async () => {
      open({ storeMaxBytes: 4 * KB })
      const log = await newLog()
      const other = await newLog()
      expect(() => log.append({ type: 'delta', content: 'x'.repeat(3 * KB) })).toThrow(
        expect.objectContaining({ code: 'store_full' }),
      )
      expect(log.last).toBe(0)
      other.append({ ...DONE, model: 'x'.repeat(3 * KB) })
      expect(await statuses(log, other)).toEqual(['found', 'found'])
    })
  })

  describe('bytes', () => {
    it('are those of all logs, and none when all have expired', async () => {
      open()
      expect(store.bytes).toBe(0)
      const logs = [await newLog(), await newLog(), await newLog()]
      for (const log of logs) for (const content of ['a', 'é', '😀']) log.append({ type: 'delta', content })
      expect(store.bytes).toBe(logs.reduce((sum, { bytes }) => sum + bytes, 0))
      for (const log of logs) {
        log.append(DONE)
        vi.advanceTimersByTime(100)
      }
      expect(store.bytes).toBe(logs.reduce((sum, { bytes }) => sum + bytes, 0))
      vi.advanceTimersByTime(700)
      expect(store.bytes).toBe(logs[1]!.bytes + logs[2]!.bytes)
      vi.advanceTimersByTime(200)
      expect(store.bytes).toBe(0)
    })

    it('are counted until the last reader has left, and released once', async () => {
      open()
      const log = await newLog()
      const leave = log.subscribe(() => {})
      log.append(DONE)
      vi.advanceTimersByTime(1000)
      expect(await statuses(log)).toEqual(['expired'])
      expect(store.bytes).toBe(log.bytes)
      leave()
      expect(store.bytes).toBe(0)
      log.subscribe(() => {})()
      expect(store.bytes).toBe(0)
    })

    it('are not counted for what was refused', async () => {
      open({ streamMaxBytes: 2 * KB })
      const log = await newLog()
      expect(() => log.append({ type: 'delta', content: 'x'.repeat(2 * KB) })).toThrow()
      expect(store.bytes).toBe(log.bytes)
    })
  })

  describe('close', () => {
    it('forgets everything and stops every timer', async () => {
      open()
      const [running, finished] = [await newLog(), await newLog()]
      finished.append(DONE)
      await store.close()
      expect(vi.getTimerCount()).toBe(0)
      expect(store.bytes).toBe(0)
      expect(await statuses(running, finished)).toEqual(['unknown', 'unknown'])
    })

    it('lets a stream that still runs come to its end, and starts no timer for it', async () => {
      open()
      const log = await newLog()
      await store.close()
      log.append({ type: 'delta', content: 'a' })
      log.append(DONE)
      expect(log.done).toEqual(DONE)
      expect(vi.getTimerCount()).toBe(0)
      expect(store.bytes).toBe(0)
    })
  })
})

function statusOf({ status }: Found): Found['status'] {
  return status
}
