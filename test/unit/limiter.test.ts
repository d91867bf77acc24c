import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Admission, Spent } from '../../src/access/admission.ts'
import { ANONYMOUS, toCaller, type Caller, type Limits } from '../../src/access/caller.ts'
import { Limiter, type Demand } from '../../src/access/limiter.ts'
import type { LimitLabel } from '../../src/access/limit-rules.ts'
import { MemoryLimitStore } from '../../src/access/memory-limit-store.ts'
import { Budget } from '../../src/store/budget.ts'

const MINUTE = 60_000
const NOON = Date.UTC(2026, 10, 30, 12)
const HOUR = 60 * MINUTE

interface Given {
  gateway?: Limits
  caller?: Limits
  user?: Limits
}

function setUp({ gateway = {}, caller: limits = {}, user: userLimits = {} }: Given) {
  let passed = 0
  const budget = new Budget(Infinity)
  const store = new MemoryLimitStore(budget, { now: () => passed })
  onTestFinished(() => store.close())
  const refusals: LimitLabel[] = []
  const limiter = new Limiter({
    store,
    limits: gateway,
    onRefusal: (_, limit) => refusals.push(limit),
    clock: { now: () => passed, today: () => NOON + passed },
  })
  const principal = { ...ANONYMOUS, name: 'app', limits, userLimits }
  const pass = (milliseconds: number) => void (passed += milliseconds)
  const used = async (name: string) =>
    (await store.take([{ name, amount: 0, most: Infinity, lastsMs: MINUTE }], 'a')).counters[0]?.used
  return {
    limiter,
    store,
    budget,
    refusals,
    pass,
    used,
    app: toCaller(principal),
    userOf: (name: string) => toCaller(principal, name),
  }
}

const stream = (
  promptTokens = 10,
  maxTokens?: number,
  costOf?: (prompt: number, answer: number) => number,
): Demand => ({
  kind: 'stream',
  promptTokens: () => promptTokens,
  maxTokens,
  costOf,
})
const REQUEST: Demand = { kind: 'request' }
const FORWARD: Demand = { kind: 'forward' }
const NOTHING: Spent = { tokens: 0, cost: 0 }

async function admitted(limiter: Limiter, caller: Caller, demand: Demand): Promise<Admission> {
  const { admission, refusal } = await limiter.admit(caller, demand)
  if (refusal) throw refusal
  return admission!
}

describe('each limit', () => {
  it.each<[keyof Limits, number, Demand, LimitLabel, string, number | undefined, boolean]>([
    ['requestsPerMinute', 1, REQUEST, 'requests_per_minute', 'rate_limit_exceeded', 60, true],
    ['concurrentStreams', 1, stream(), 'concurrent_streams', 'rate_limit_exceeded', 1, true],
    ['concurrentStreams', 1, FORWARD, 'concurrent_streams', 'rate_limit_exceeded', 1, true],
    ['tokensPerMinute', 100, stream(10, 90), 'tokens_per_minute', 'rate_limit_exceeded', 60, true],
    ['tokensPerMinute', 1, FORWARD, 'tokens_per_minute', 'rate_limit_exceeded', 60, true],
    ['tokensPerDay', 100, stream(10, 90), 'tokens_per_day', 'insufficient_quota', 12 * 3600, false],
    ['costPerDay', 0.5, stream(10, 90, () => 5e8), 'cost_per_day', 'insufficient_quota', 12 * 3600, false],
    ['costPerMonth', 0.5, stream(10, 90, () => 5e8), 'cost_per_month', 'insufficient_quota', 12 * 3600, false],
  ])(
    '%s %s lets one through, and refuses the next one',
    async (name, limit, demand, label, code, retryAfter, retry) => {
      for (const level of ['gateway', 'caller', 'user'] as const) {
        const { limiter, refusals, userOf } = setUp({ [level]: { [name]: limit } })
        const ada = userOf('ada')
        expect((await limiter.admit(ada, demand)).refusal).toBeUndefined()
        const { refusal, headers } = await limiter.admit(ada, demand)
        expect(refusal).toMatchObject({ code, status: 429, retryAfter, retryable: retry })
        expect(refusals).toEqual([label])
        if (level !== 'gateway' || !name.startsWith('cost'))
          expect(headers.RateLimit).toMatch(
            new RegExp(`^"${level}-${label.replaceAll('_', '-')}";r=0(;t=${retryAfter})?$`),
          )
      }
    },
  )

  it('is of one user, one caller or all, as configured', async () => {
    const limits = { requestsPerMinute: 1 }
    const others = (given: Given) => {
      const { limiter, userOf, app } = setUp(given)
      const other = toCaller({ ...app.principal, name: 'other' })
      return { limiter, ada: userOf('ada'), bob: userOf('bob'), other }
    }
    const allows = async (limiter: Limiter, caller: Caller) =>
      (await limiter.admit(caller, REQUEST)).refusal === undefined
    const results: boolean[][] = []
    for (const level of ['gateway', 'caller', 'user'] as const) {
      const { limiter, ada, bob, other } = others({ [level]: limits })
      await limiter.admit(ada, REQUEST)
      results.push([await allows(limiter, ada), await allows(limiter, bob), await allows(limiter, other)])
    }
    expect(results).toEqual([
      [false, false, false],
      [false, false, true],
      [false, true, true],
    ])
  })

  it('begins again after its minute, its day and its month', async () => {
    const { limiter, app, pass } = setUp({
      caller: { requestsPerMinute: 2, tokensPerDay: 100, costPerMonth: 1 },
    })
    const spend = async (cost: number) => {
      const { admission, refusal } = await limiter.admit(
        app,
        stream(10, 40, () => cost),
      )
      await admission?.settle({ tokens: 50, cost })
      return refusal?.code ?? 'ok'
    }
    expect([await spend(1), await spend(1), await spend(1)]).toEqual(['ok', 'ok', 'insufficient_quota'])
    pass(MINUTE)
    expect(await spend(1)).toBe('insufficient_quota')
    pass(12 * HOUR)
    // The first of December.
    expect([await spend(1e9), await spend(1)]).toEqual(['ok', 'insufficient_quota'])
    pass(24 * HOUR)
    expect(await spend(1)).toBe('insufficient_quota')
    pass(31 * 24 * HOUR)
    expect(await spend(1)).toBe('ok')
  })

  it('says that a request which exceeds it alone is not worth a retry', async () => {
    const { limiter, app } = setUp({ caller: { tokensPerMinute: 100 } })
    for (const demand of [stream(10, 91), stream(101)]) {
      const { refusal } = await limiter.admit(app, demand)
      expect(refusal).toMatchObject({ code: 'rate_limit_exceeded', retryable: false, retryAfter: undefined })
      expect(refusal?.message).toMatch(/100 tokens per minute, and this request may take 101 tokens/)
    }
  })

  it('that is small lets requests without a maximum through, one at a time', async () => {
    const { limiter, app } = setUp({ caller: { tokensPerMinute: 100 } })
    const first = await admitted(limiter, app, stream(10))
    expect((await limiter.admit(app, stream(10))).refusal).toMatchObject({
      code: 'rate_limit_exceeded',
      retryable: true,
    })
    await first.settle({ tokens: 30, cost: 0 })
    await admitted(limiter, app, stream(10, 60))
  })

  it('of 0 refuses every request', async () => {
    const { limiter, app } = setUp({ caller: { requestsPerMinute: 0 } })
    expect((await limiter.admit(app, REQUEST)).refusal).toMatchObject({ code: 'rate_limit_exceeded', retryable: false })
  })
})

describe('a limiter', () => {
  it('counts nothing for callers without limits, and looks at no prompt without need', async () => {
    const { limiter, app, userOf } = setUp({ user: { requestsPerMinute: 1 } })
    expect([limiter.counts(app), limiter.counts(userOf('ada'))]).toEqual([false, true])
    const unread: Demand = { kind: 'stream', maxTokens: 1, promptTokens: () => expect.fail('read the prompt') }
    await limiter.admit(userOf('ada'), unread)
  })

  it('gives back what other limits took when one refuses', async () => {
    const { limiter, userOf } = setUp({
      gateway: { requestsPerMinute: 2 },
      caller: { concurrentStreams: 2, tokensPerDay: 200 },
      user: { tokensPerMinute: 100 },
    })
    await admitted(limiter, userOf('ada'), stream(10, 90))
    for (let i = 0; i < 5; i++) expect((await limiter.admit(userOf('ada'), stream(10, 90))).refusal).toBeDefined()
    await admitted(limiter, userOf('bob'), stream(10, 90))
  })

  it('tells the most distant of several limits', async () => {
    const { limiter, app, refusals } = setUp({
      caller: { requestsPerMinute: 1, tokensPerDay: 100, concurrentStreams: 1 },
    })
    await admitted(limiter, app, stream(10, 90))
    expect((await limiter.admit(app, stream(10, 90))).refusal).toMatchObject({ retryAfter: 12 * 3600 })
    expect(refusals).toEqual(['tokens_per_day'])
  })

  it('says what is left, but not what all callers have spent together', async () => {
    const { limiter, app } = setUp({
      gateway: { requestsPerMinute: 50, costPerDay: 7 },
      caller: { concurrentStreams: 3, tokensPerDay: 1000, costPerMonth: 2.5 },
    })
    const { headers } = await limiter.admit(
      app,
      stream(100, 200, (prompt, answer) => (prompt + answer) * 1000),
    )
    expect(headers).toEqual({
      'RateLimit-Policy':
        '"gateway-requests-per-minute";q=50;w=60, "caller-concurrent-streams";q=3;qu="concurrent-requests", ' +
        '"caller-tokens-per-day";q=1000;qu="tokens";w=86400, "caller-cost-per-month";q=2500000;qu="millionths"',
      RateLimit:
        '"gateway-requests-per-minute";r=49;t=60, "caller-concurrent-streams";r=2, ' +
        '"caller-tokens-per-day";r=700;t=43200, "caller-cost-per-month";r=2499700;t=43200',
    })
  })

  it('knows the smallest maximum of an answer', () => {
    const given = { gateway: { maxTokens: 300 }, caller: { maxTokens: 200 }, user: { maxTokens: 100 } }
    const { limiter, app, userOf } = setUp(given)
    expect([limiter.maxTokens(app), limiter.maxTokens(userOf('ada'))]).toEqual([200, 100])
  })
})

describe('an admission', () => {
  const TOKENS = 'tokens_per_minute@caller:app'

  it('reserves, reserves more as tokens flow, and leaves what was used', async () => {
    const { limiter, app, used } = setUp({ caller: { tokensPerMinute: 1000 } })
    const admission = await admitted(limiter, app, stream(10, 20))
    expect(await used(TOKENS)).toBe(30)
    admission.flowed(20)
    expect(await used(TOKENS)).toBe(30)
    admission.flowed(21)
    expect(await used(TOKENS)).toBe(31 + 256)
    admission.flowed(277)
    expect(await used(TOKENS)).toBe(31 + 256)
    await admission.settle({ tokens: 300, cost: 0 })
    expect(await used(TOKENS)).toBe(300)
  })

  it('is settled once, and then reserves nothing more', async () => {
    const { limiter, app, used } = setUp({ caller: { tokensPerMinute: 1000, concurrentStreams: 1 } })
    const admission = await admitted(limiter, app, stream(10, 20))
    await Promise.all([admission.settle({ tokens: 25, cost: 0 }), admission.settle({ tokens: 99, cost: 0 })])
    admission.flowed(500)
    expect([await used(TOKENS), await used('concurrent_streams@caller:app')]).toEqual([25, 0])
  })

  it('never refuses a running stream, whatever that uses', async () => {
    const { limiter, app, used } = setUp({ caller: { tokensPerMinute: 100 } })
    const admission = await admitted(limiter, app, stream(10))
    admission.flowed(5000)
    await admission.settle({ tokens: 6000, cost: 0 })
    expect(await used(TOKENS)).toBe(6000)
    expect((await limiter.admit(app, stream(10))).refusal).toBeDefined()
  })

  it('gives back nothing in a minute in which it has reserved nothing', async () => {
    const { limiter, app, used, pass } = setUp({ caller: { tokensPerMinute: 100 } })
    const first = await admitted(limiter, app, stream(10, 40))
    pass(MINUTE)
    await admitted(limiter, app, stream(10, 70))
    await first.settle(NOTHING)
    expect(await used(TOKENS)).toBe(80)
  })

  it('charges to the present minute and day what it has not reserved', async () => {
    const { limiter, app, used, pass } = setUp({ caller: { tokensPerMinute: 100, tokensPerDay: 1000 } })
    const admission = await admitted(limiter, app, stream(10, 40))
    pass(13 * HOUR)
    await admission.settle({ tokens: 80, cost: 0 })
    expect(await used(TOKENS)).toBe(30)
    expect(await used('tokens_per_day@2026-12-01 caller:app')).toBe(30)
  })

  it('survives any numbers of an upstream', async () => {
    const { limiter, app, used } = setUp({ caller: { tokensPerMinute: 100 } })
    await (await admitted(limiter, app, stream(10, 20))).settle({ tokens: 1e300, cost: 0.5 })
    expect(await used(TOKENS)).toBe(Number.MAX_SAFE_INTEGER)
  })
})

it('counts what was settled and what is reserved, and admits nothing beyond a limit', async () => {
  const amount = fc.integer({ min: 0, max: 60 })
  const step = fc.oneof(
    fc.record({ do: fc.constant('admit' as const), prompt: amount, max: fc.option(amount, { nil: undefined }) }),
    fc.record({ do: fc.constant('flow' as const), which: fc.nat(), deltas: fc.integer({ min: 0, max: 2000 }) }),
    fc.record({ do: fc.constant('settle' as const), which: fc.nat(), tokens: fc.integer({ min: 0, max: 3000 }) }),
  )
  const limit = fc.integer({ min: 1, max: 400 })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), limit, limit, async (steps, tokensPerMinute, streams) => {
      const { limiter, app, used } = setUp({ caller: { tokensPerMinute, concurrentStreams: streams } })
      const tokens = () => used('tokens_per_minute@caller:app')
      const running: { admission: Admission; prompt: number; held: number }[] = []
      let settled = 0
      const expected = () => settled + running.reduce((sum, { held }) => sum + held, 0)
      for (const each of steps) {
        const found = each.do === 'admit' ? undefined : running[each.which % Math.max(1, running.length)]
        if (each.do === 'admit') {
          const before = expected()
          const { admission } = await limiter.admit(app, stream(each.prompt, each.max))
          const wanted = each.prompt + (each.max ?? 1024)
          const held = each.max === undefined ? Math.max(each.prompt, Math.min(wanted, tokensPerMinute)) : wanted
          const fits = before + held <= tokensPerMinute && running.length < streams
          expect(admission !== undefined).toBe(fits)
          if (admission) running.push({ admission, prompt: each.prompt, held })
        } else if (found && each.do === 'flow') {
          found.admission.flowed(each.deltas)
          if (found.prompt + each.deltas > found.held) found.held = found.prompt + each.deltas + 256
        } else if (found && each.do === 'settle') {
          await found.admission.settle({ tokens: each.tokens, cost: 0 })
          running.splice(running.indexOf(found), 1)
          settled += each.tokens
        }
        expect(await tokens()).toBe(expected())
        expect(await used('concurrent_streams@caller:app')).toBe(running.length)
      }
    }),
    { numRuns: 300 },
  )
})
