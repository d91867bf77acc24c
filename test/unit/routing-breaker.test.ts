import { beforeEach, describe, expect, it } from 'vitest'
import { Breaker, Breakers } from '../../src/routing/breaker.ts'

let time = 0
let breaker: Breaker

beforeEach(() => {
  time = 0
  breaker = new Breaker({ failures: 3, cooldownMs: 1000, now: () => time })
})

function fail(times = 1): void {
  for (let i = 0; i < times; i++) breaker.enter()!.failed()
}

/** Answers that end before they are whole. */
function breakOff(times = 1): void {
  for (let i = 0; i < times; i++) {
    const permit = breaker.enter()!
    permit.answered()
    permit.failed()
  }
}

function succeed(): void {
  const permit = breaker.enter()!
  permit.answered()
  permit.succeeded()
}

describe('a closed breaker', () => {
  it('lets any number of attempts go at once', () => {
    const permits = Array.from({ length: 100 }, () => breaker.enter())
    expect(permits).not.toContain(undefined)
    expect(breaker.retryAfter).toBe(0)
  })

  it('opens after as many failures in a row as it is told', () => {
    fail(2)
    expect(breaker.closed).toBe(true)
    fail()
    expect(breaker.closed).toBe(false)
    expect(breaker.enter()).toBeUndefined()
  })

  it('begins to count anew after a success', () => {
    fail(2)
    succeed()
    fail(2)
    expect(breaker.closed).toBe(true)
  })

  it('begins to count anew after a first token, which is told long before the success', () => {
    fail(2)
    breaker.enter()!.answered()
    fail(2)
    expect(breaker.closed).toBe(true)
  })

  it('opens for a target that answers and then breaks off, again and again', () => {
    breakOff(2)
    expect(breaker.closed).toBe(true)
    breakOff()
    expect(breaker.closed).toBe(false)
  })

  it('begins to count anew what breaks off after a success, but not after a first token', () => {
    breakOff(2)
    succeed()
    breakOff(2)
    breaker.enter()!.answered()
    expect(breaker.closed).toBe(true)
    breakOff()
    expect(breaker.closed).toBe(false)
  })

  it('does not count what says nothing of the target', () => {
    fail(2)
    for (let i = 0; i < 10; i++) breaker.enter()!.released()
    expect(breaker.closed).toBe(true)
    fail()
    expect(breaker.closed).toBe(false)
  })

  it('counts one failure per run, however often it retries', () => {
    fail()
    for (let i = 0; i < 10; i++) breaker.enter(true)!.failed()
    expect(breaker.closed).toBe(true)
    fail(2)
    expect(breaker.closed).toBe(false)
  })

  it('counts an answer that breaks off after retries: its first token has reset the earlier failures', () => {
    for (let i = 0; i < 2; i++) {
      breaker.enter()!.failed()
      const retry = breaker.enter(true)!
      retry.answered()
      retry.failed()
    }
    expect(breaker.closed).toBe(true)
    breakOff()
    expect(breaker.closed).toBe(false)
  })
})

describe('a rate limit', () => {
  it('is remembered for the requested time, and does not change the breaker', () => {
    breaker.limit(3)
    expect([breaker.limited, breaker.closed, breaker.ready]).toEqual([true, true, true])
    time = 2999
    expect(breaker.limited).toBe(true)
    time = 3000
    expect(breaker.limited).toBe(false)
  })

  it('is remembered briefly when the target names no time', () => {
    breaker.limit()
    expect(breaker.limited).toBe(true)
    time = 10_000
    expect(breaker.limited).toBe(false)
  })

  it.each([3600, 1e300, Infinity])('is forgotten after ten minutes if the target asks for %d seconds', (seconds) => {
    breaker.limit(seconds)
    time = 599_999
    expect(breaker.limited).toBe(true)
    time = 600_000
    expect(breaker.limited).toBe(false)
  })

  it.each([NaN, -1, 0])('of %d seconds is ignored', (seconds) => {
    breaker.limit(seconds)
    expect(breaker.limited).toBe(false)
  })

  it('of a probe leaves the breaker waiting for the next probe', () => {
    fail(3)
    time = 1000
    breaker.enter()!.released()
    breaker.limit(1)
    expect([breaker.closed, breaker.open, breaker.ready]).toEqual([false, false, true])
  })
})

describe('an open breaker', () => {
  it('is open until its cooldown is over, even without requests', () => {
    fail(3)
    time = 999
    expect(breaker.open).toBe(true)
    time = 1000
    expect([breaker.open, breaker.closed]).toEqual([false, false])
  })

  it('lets nothing go until its cooldown is over, and says how long that is', () => {
    fail(3)
    expect(breaker.retryAfter).toBe(1)
    time = 999
    expect(breaker.enter()).toBeUndefined()
    time = 1000
    expect(breaker.enter()).toBeDefined()
  })

  it('does not hear of attempts that began before it opened', () => {
    const [early, late] = [breaker.enter()!, breaker.enter()!]
    fail(3)
    early.answered()
    early.succeeded()
    expect(breaker.closed).toBe(false)
    time = 999
    late.failed()
    time = 1000
    expect(breaker.enter()).toBeDefined()
  })
})

describe('a half-open breaker', () => {
  beforeEach(() => {
    fail(3)
    time = 1000
  })

  it('lets one attempt go at a time', () => {
    expect(breaker.enter()).toBeDefined()
    expect(breaker.enter()).toBeUndefined()
    expect(breaker.retryAfter).toBe(1)
  })

  it('closes when its probe has its first token', () => {
    const probe = breaker.enter()!
    probe.answered()
    expect(breaker.closed).toBe(true)
    probe.failed()
    expect(breaker.closed).toBe(true)
    fail(2)
    expect(breaker.closed).toBe(false)
  })

  it('has forgotten every failure when it has closed', () => {
    breaker.enter()!.answered()
    breakOff(3)
    time += 1000
    breaker.enter()!.answered()
    breakOff(2)
    expect(breaker.closed).toBe(true)
  })

  it('closes when its probe succeeds', () => {
    breaker.enter()!.succeeded()
    expect(breaker.closed).toBe(true)
  })

  it('probes again when its probe said nothing of the target', () => {
    breaker.enter()!.released()
    expect(breaker.closed).toBe(false)
    expect(breaker.enter()).toBeDefined()
    expect(breaker.enter()).toBeUndefined()
  })

  it('opens for twice as long, up to five minutes, each time that its probe fails', () => {
    const cooldowns: number[] = []
    for (let i = 0; i < 11; i++) {
      breaker.enter()!.failed()
      cooldowns.push(breaker.retryAfter)
      time += breaker.retryAfter * 1000 - 1
      expect(breaker.enter()).toBeUndefined()
      time += 1
    }
    expect(cooldowns).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])
  })

  it('opens for as long as at first after it has been closed', () => {
    breaker.enter()!.failed()
    time += 2000
    breaker.enter()!.answered()
    fail(3)
    expect(breaker.retryAfter).toBe(1)
  })
})

describe('the breakers of all targets', () => {
  it('are one for each model of each provider', () => {
    const breakers = new Breakers({ failures: 1, cooldownMs: 1000 })
    expect(breakers.of('a', 'm')).toBe(breakers.of('a', 'm'))
    expect(breakers.of('a', 'm')).not.toBe(breakers.of('a', 'n'))
    expect(breakers.of('a', 'm')).not.toBe(breakers.of('b', 'm'))
  })

  it('are counted per provider while open', () => {
    const breakers = new Breakers({ failures: 1, cooldownMs: 1000, now: () => time })
    breakers.of('a', 'm').enter()!.failed()
    breakers.of('a', 'n').enter()!.failed()
    breakers.of('b', 'm')
    expect([breakers.countOpen('a'), breakers.countOpen('b')]).toEqual([2, 0])
  })

  it('are not counted after their cooldown, even without requests or during a probe', () => {
    const breakers = new Breakers({ failures: 1, cooldownMs: 1000, now: () => time })
    breakers.of('a', 'm').enter()!.failed()
    time = 1000
    expect(breakers.countOpen('a')).toBe(0)
    breakers.of('a', 'm').enter()
    expect(breakers.countOpen('a')).toBe(0)
  })

  it('stay few however many models clients invent, and those in use stay', () => {
    const breakers = new Breakers({ failures: 1, cooldownMs: 1000 })
    const used = breakers.of('a', 'used')
    const forgotten = breakers.of('a', 'forgotten')
    for (let i = 0; i < 5000; i++) {
      breakers.of('a', `invented-${i}`).enter()!.failed()
      expect(breakers.of('a', 'used')).toBe(used)
    }
    expect(breakers.of('a', 'forgotten')).not.toBe(forgotten)
    expect(breakers.countOpen('a')).toBeLessThanOrEqual(1024)
  })
})
