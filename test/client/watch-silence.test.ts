import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { watchSilence } from '../../src/client/waiting.ts'

describe('silence', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('is noticed when it has lasted, counted from the last sign', () => {
    const onSilence = vi.fn<() => void>()
    const { pat } = watchSilence(() => 100, onSilence)
    vi.advanceTimersByTime(90)
    pat()
    vi.advanceTimersByTime(99)
    expect(onSilence).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(onSilence).toHaveBeenCalledOnce()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('may last longer at first, while a large body goes up, and not afterwards', () => {
    const onSilence = vi.fn<() => void>()
    const { pat } = watchSilence(() => 100, onSilence, 10_000)
    vi.advanceTimersByTime(5000)
    expect(onSilence).not.toHaveBeenCalled()
    pat()
    vi.advanceTimersByTime(200)
    expect(onSilence).toHaveBeenCalledOnce()
  })

  it('is not noticed by one who has stopped listening, and may last for ever', () => {
    const onSilence = vi.fn<() => void>()
    const { stop } = watchSilence(() => 100, onSilence)
    stop()
    expect(vi.getTimerCount()).toBe(0)
    watchSilence(() => Infinity, onSilence)
    vi.advanceTimersByTime(2 ** 32)
    expect(onSilence).not.toHaveBeenCalled()
  })
})
