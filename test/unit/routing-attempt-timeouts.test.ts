import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { SluiceError } from '../../src/errors.ts'
import { AttemptTimeouts } from '../../src/routing/attempt-timeouts.ts'

let errors: SluiceError[]
let patience: AttemptTimeouts

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  errors = []
})

afterEach(() => {
  patience.stop()
  const left = vi.getTimerCount()
  vi.useRealTimers()
  expect(left, 'timers that outlive their attempt').toBe(0)
})

function begin(timeouts: { firstTokenTimeoutMs?: number; idleTimeoutMs?: number; totalTimeoutMs?: number }): void {
  patience = new AttemptTimeouts(
    {
      connectTimeoutMs: 1,
      firstTokenTimeoutMs: 1_000_000,
      idleTimeoutMs: 1_000_000,
      totalTimeoutMs: undefined,
      ...timeouts,
    },
    (error) => void errors.push(error),
  )
}

const pass = (milliseconds: number) => vi.advanceTimersByTime(milliseconds)
const codes = () => errors.map(({ code, message }) => [code, message])

describe('the time to the first token', () => {
  it('ends once, at its end', () => {
    begin({ firstTokenTimeoutMs: 100 })
    pass(99)
    expect(errors).toEqual([])
    pass(1)
    expect(codes()).toEqual([['upstream_timeout', 'The provider sent no token within 100 ms.']])
    pass(10_000)
    expect(errors).toHaveLength(1)
  })

  it('does not end before it has begun, however slow the machine is', () => {
    const now = vi.spyOn(performance, 'now').mockReturnValueOnce(0).mockReturnValue(200)
    begin({ firstTokenTimeoutMs: 100 })
    expect(errors).toEqual([])
    now.mockRestore()
    pass(100)
    expect(errors).toHaveLength(1)
  })

  it('is not won by what is no token', () => {
    begin({ firstTokenTimeoutMs: 100, idleTimeoutMs: 50 })
    for (let i = 0; i < 9; i++) {
      pass(10)
      patience.heard(performance.now())
    }
    expect(errors).toEqual([])
    pass(10)
    expect(errors).toHaveLength(1)
  })
})

describe('silence after the first token', () => {
  function answer(): void {
    patience.heard(performance.now())
    patience.answered()
  }

  it.each([
    ['longer', 10],
    ['shorter', 1000],
  ])('ends in time where the limit is %s than that to the first token', (_, firstTokenTimeoutMs) => {
    begin({ firstTokenTimeoutMs, idleTimeoutMs: 100 })
    pass(5)
    answer()
    pass(99)
    expect(errors).toEqual([])
    pass(1)
    expect(codes()).toEqual([['upstream_timeout', 'The provider was silent for 100 ms.']])
  })

  it('begins anew with each token, exactly', () => {
    begin({ idleTimeoutMs: 100 })
    answer()
    for (let i = 0; i < 50; i++) {
      pass(99)
      patience.heard(performance.now())
    }
    expect(errors).toEqual([])
    pass(99)
    expect(errors).toEqual([])
    pass(1)
    expect(errors).toHaveLength(1)
  })
})

describe('the whole', () => {
  it('has no limit unless it is given one', () => {
    begin({ idleTimeoutMs: 100 })
    patience.answered()
    for (let i = 0; i < 1000; i++) {
      pass(99)
      patience.heard(performance.now())
    }
    expect(errors).toEqual([])
  })

  it('ends in time before the first token', () => {
    begin({ totalTimeoutMs: 100 })
    pass(99)
    expect(errors).toEqual([])
    pass(1)
    expect(codes()).toEqual([['upstream_timeout', 'The answer took longer than 100 ms.']])
  })

  it('ends in time while tokens come', () => {
    begin({ totalTimeoutMs: 100, idleTimeoutMs: 30 })
    patience.answered()
    for (let i = 0; i < 9; i++) {
      pass(11)
      patience.heard(performance.now())
    }
    expect(errors).toEqual([])
    pass(1)
    expect(codes()).toEqual([['upstream_timeout', 'The answer took longer than 100 ms.']])
  })
})
