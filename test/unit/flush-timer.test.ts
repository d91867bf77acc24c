import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FlushTimer } from '../../src/stream/event-loop.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => {
  const left = vi.getTimerCount()
  vi.useRealTimers()
  expect(left, 'timers without anybody who waits').toBe(0)
})

describe('flushTimer', () => {
  it('flushes all that wait at once, each once, within the interval of the first', () => {
    const flushTimer = new FlushTimer(50)
    const flushed: string[] = []
    const [a, b] = ['a', 'b'].map((name) => () => void flushed.push(name)) as [() => void, () => void]
    flushTimer.wait(a)
    vi.advanceTimersByTime(49)
    flushTimer.wait(b)
    flushTimer.wait(a)
    expect(flushed).toEqual([])
    vi.advanceTimersByTime(1)
    expect(flushed).toEqual(['a', 'b'])
  })

  it('begins anew for who waits again, also from within the flush', () => {
    const flushTimer = new FlushTimer(50)
    let times = 0
    const again = () => {
      times += 1
      if (times < 3) flushTimer.wait(again)
    }
    flushTimer.wait(again)
    vi.advanceTimersByTime(100)
    expect(times).toBe(2)
    vi.advanceTimersByTime(50)
    expect(times).toBe(3)
  })

  it('forgets who leaves, and has no timer when nobody is left', () => {
    const flushTimer = new FlushTimer(50)
    const flush = vi.fn<() => void>()
    flushTimer.wait(flush)
    flushTimer.leave(flush)
    flushTimer.leave(flush)
    expect(vi.getTimerCount()).toBe(0)
    vi.advanceTimersByTime(100)
    expect(flush).not.toHaveBeenCalled()
  })
})
