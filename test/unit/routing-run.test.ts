import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { StreamEvent } from '../../providers/provider.ts'
import { ERROR_CODES, SluiceError, type ErrorCode, type SluiceErrorOptions } from '../../src/errors.ts'
import { Breaker } from '../../src/routing/breaker.ts'
import { planOf, plays, ROLE, run, silence, STOP, targetOf, text, type Step } from './routing-plans.ts'

function error(code: ErrorCode, options: SluiceErrorOptions = {}): SluiceError {
  return new SluiceError(code, `it is ${code}`, options)
}

const busy = error('upstream_unavailable')
const answer: Step[] = [[ROLE, text('an')], text('swer'), STOP]

describe('a target that answers', () => {
  it('is asked once, and all it says is passed on', async () => {
    const provider = plays('a', answer)
    const ran = await run(planOf(targetOf(provider), targetOf(plays('b', answer))))
    expect(ran).toMatchObject({
      events: [ROLE, text('an'), text('swer'), STOP],
      error: undefined,
      answers: [{ provider: 'a', model: 'a-model', attempts: 1 }],
      ended: ['a:ok'],
      retried: [],
    })
    expect(provider.left).toBe(1)
  })

  it('is given its model, its options, its key, the client’s headers and its limits', async () => {
    const provider = plays('a', answer)
    const target = targetOf(provider, { options: { depth: 3 }, keys: [{ key: 'k', weight: 1 }] })
    await run(planOf(target), { headers: { 'x-beta': '1' } })
    expect(provider.requests).toEqual([{ model: 'a-model', messages: [{ role: 'user', content: 'hi' }] }])
    expect(provider.contexts).toMatchObject([
      { streamId: 'str_1', options: { depth: 3 }, apiKey: 'k', headers: { 'x-beta': '1' }, connectTimeoutMs: 10_000 },
    ])
  })

  it('may answer with nothing but its end', async () => {
    const ran = await run(planOf(targetOf(plays('a', [STOP]))))
    expect(ran).toMatchObject({ events: [STOP], answers: [{ attempts: 1 }], ended: ['a:ok'] })
  })

  it.each<[what: string, token: StreamEvent]>([
    ['content', text('x')],
    ['reasoning', { type: 'delta', reasoning: 'x' }],
    ['a refusal', { type: 'delta', refusal: 'x' }],
    ['a tool call', { type: 'delta', tool_calls: [{ index: 0, id: 'call_1' }] }],
  ])('has answered with %s: from then on it is not asked again', async (_, token) => {
    const ran = await run(planOf(targetOf(plays('a', [token, busy])), targetOf(plays('b', answer))))
    expect(ran).toMatchObject({ events: [token], error: busy, answers: [{ provider: 'a', attempts: 1 }] })
  })

  it('is told of before its first event is passed on', async () => {
    const order: string[] = []
    const provider = plays('a', [[text('x'), STOP]])
    const events = run(planOf(targetOf(provider)), { answeredBy: () => void order.push('answer') })
    order.push(...(await events).events.map(({ type }) => type))
    expect(order).toEqual(['answer', 'delta', 'done'])
  })
})

describe('before the first token', () => {
  it('a failure is tried again with the same target, with growing waits, and leaves no trace', async () => {
    const provider = plays(
      'a',
      [busy],
      [ROLE, { type: 'delta', content: '', carried: { openai: { chunk: { id: 1 } } } }, busy],
      answer,
    )
    const ran = await run(planOf(targetOf(provider)))
    expect(ran).toMatchObject({
      events: [ROLE, text('an'), text('swer'), STOP],
      error: undefined,
      answers: [{ provider: 'a', attempts: 3 }],
      pauses: [125, 250],
      ended: ['a:upstream_unavailable', 'a:upstream_unavailable', 'a:ok'],
      retried: ['a:upstream_unavailable', 'a:upstream_unavailable'],
    })
  })

  it('a target that has been tried often enough is left for the next', async () => {
    const plan = planOf(
      targetOf(plays('a', [busy])),
      targetOf(plays('b', [busy]), { retries: 0 }),
      targetOf(plays('c', answer)),
    )
    const ran = await run(plan)
    expect(ran).toMatchObject({ text: 'answer', answers: [{ provider: 'c', model: 'c-model', attempts: 5 }] })
    expect(ran.ended).toEqual([...Array<string>(3).fill('a:upstream_unavailable'), 'b:upstream_unavailable', 'c:ok'])
  })

  it('the error of the last target is told when all have failed', async () => {
    const last = error('upstream_not_found')
    const ran = await run(planOf(targetOf(plays('a', [busy])), targetOf(plays('b', [last]))))
    expect(ran).toMatchObject({ events: [], error: last, answers: [{ provider: 'b', model: 'b-model', attempts: 4 }] })
  })

  it.each<ErrorCode>(['upstream_rejected', 'invalid_request'])(
    'a request that is wrong is wrong for all: %s',
    async (code) => {
      const other = plays('b', answer)
      const ran = await run(planOf(targetOf(plays('a', [error(code)])), targetOf(other)))
      expect(ran).toMatchObject({ error: { code }, answers: [{ provider: 'a', attempts: 1 }], pauses: [] })
      expect(other.requests).toEqual([])
    },
  )

  it.each<ErrorCode>(['upstream_auth', 'upstream_not_found', 'provider_invalid_event'])(
    'a failure that does not pass is not tried again, but the next target is: %s',
    async (code) => {
      const ran = await run(planOf(targetOf(plays('a', [error(code)])), targetOf(plays('b', answer))))
      expect(ran).toMatchObject({ text: 'answer', answers: [{ provider: 'b', attempts: 2 }], pauses: [] })
    },
  )

  it.each<[what: string, script: Step[], code: ErrorCode]>([
    ['an end without done', [ROLE], 'upstream_truncated'],
    ['a bug', [new TypeError('x is undefined')], 'provider_failed'],
    ['nonsense', [null as never], 'provider_invalid_event'],
    ['nonsense before a done', [[null as never, STOP]], 'provider_invalid_event'],
    ['a done that tells of an error, and more', [[failed('upstream_error'), text('x')]], 'upstream_error'],
    ['a done that tells of an error', [ROLE, failed('upstream_error')], 'upstream_error'],
    ['a done that tells of an error of its own', [failed('made_up')], 'provider_failed'],
  ])('%s is a failure like others', async (_, script, code) => {
    const ran = await run(planOf(targetOf(plays('a', script), { retries: 0 }), targetOf(plays('b', answer))))
    expect(ran).toMatchObject({ text: 'answer', ended: [`a:${code}`, 'b:ok'] })
  })

  it.each<[what: string, script: Step[], ended: string]>([
    ['nonsense', [text('x'), null as never], 'a:provider_invalid_event'],
    ['nonsense with a done behind it', [text('x'), [null as never, STOP]], 'a:provider_invalid_event'],
    ['a done with more behind it', [text('x'), [STOP, text('y')]], 'a:ok'],
  ])('after its first token, %s ends the attempt as what it is', async (_, script, ended) => {
    const ran = await run(planOf(targetOf(plays('a', script)), targetOf(plays('b', answer))))
    expect(ran).toMatchObject({ text: 'x', ended: [ended] })
  })

  it('what a provider threw is thrown as it is, for whoever logs it', async () => {
    const bug = new TypeError('x is undefined')
    expect((await run(planOf(targetOf(plays('a', [bug]))))).error).toBe(bug)
  })

  it('a provider that cannot even begin has failed', async () => {
    const broken = {
      name: 'a',
      stream(): never {
        throw new TypeError('no')
      },
    }
    const ran = await run(planOf(targetOf(broken), targetOf(plays('b', answer))))
    expect(ran).toMatchObject({ text: 'answer', ended: ['a:provider_failed', 'b:ok'] })
  })

  it('much without a token is an answer of another kind, and is passed on', async () => {
    const audio: StreamEvent[] = Array.from({ length: 20 }, (_, id) => ({
      type: 'delta',
      carried: { openai: { delta: { audio: { id } } } },
    }))
    const ran = await run(planOf(targetOf(plays('a', [...audio, busy])), targetOf(plays('b', answer))))
    expect(ran).toMatchObject({ events: audio, error: busy })
  })
})

describe('what is held back before the first token', () => {
  const filler = (length: number): StreamEvent => ({ type: 'delta', carried: { mine: { filler: 'x'.repeat(length) } } })

  it('is bounded in size; beyond that it is passed on as an answer', async () => {
    const large = [filler(30_000), filler(40_000), ROLE]
    const ran = await run(planOf(targetOf(plays('a', [...large, busy])), targetOf(plays('b', answer))))
    expect(ran).toMatchObject({ events: large, error: busy, ended: ['a:upstream_unavailable'] })
  })

  it.each<[where: string, event: StreamEvent]>([
    ['a name', { type: 'delta', carried: { mine: { ['x'.repeat(70_000)]: 1 } } }],
    ['one list with others', { type: 'delta', carried: { mine: { list: Array<string>(40_000).fill('') } } }],
  ])('is bounded wherever the bytes are: in %s', async (_, event) => {
    const ran = await run(planOf(targetOf(plays('a', [[ROLE, event], busy])), targetOf(plays('b', answer))))
    expect(ran).toMatchObject({ events: [ROLE, event], error: busy })
  })

  it('leaves no trace of a failure as long as it is small', async () => {
    const ran = await run(planOf(targetOf(plays('a', [filler(30_000), filler(30_000), busy], answer))))
    expect(ran).toMatchObject({ text: 'answer', answers: [{ attempts: 2 }] })
    expect(ran.events).toHaveLength(4)
  })

  it('is passed on without a JSON form, for the log to refuse', async () => {
    const event = { type: 'delta', carried: { mine: { big: 1n } } } as StreamEvent
    const ran = await run(planOf(targetOf(plays('a', [event, busy]))))
    expect(ran.events).toEqual([event])
  })
})

function failed(code: string): StreamEvent {
  return { type: 'done', finish_reason: 'error', error: { code, message: 'no', retryable: true } }
}

describe('what an upstream asks for', () => {
  it('is waited for, and a bit longer', async () => {
    const limited = error('upstream_rate_limited', { retryAfter: 3 })
    const ran = await run(planOf(targetOf(plays('a', [limited], [limited], answer)), targetOf(plays('b', answer))))
    expect(ran).toMatchObject({ answers: [{ provider: 'a', attempts: 3 }], pauses: [3125, 3250] })
  })

  it('is not waited for when it is more than ten seconds: the next target is tried at once', async () => {
    const limited = error('upstream_rate_limited', { retryAfter: 11 })
    const ran = await run(planOf(targetOf(plays('a', [limited])), targetOf(plays('b', answer))))
    expect(ran).toMatchObject({ answers: [{ provider: 'b', attempts: 2 }], pauses: [] })
  })

  it('is told to the client when there is no other target', async () => {
    const limited = error('upstream_rate_limited', { retryAfter: 11 })
    const ran = await run(planOf(targetOf(plays('a', [limited]))))
    expect(ran).toMatchObject({ error: { code: 'upstream_rate_limited', retryAfter: 11 }, pauses: [] })
  })
})

describe('a non-retryable failure', () => {
  it.each(ERROR_CODES)('is not retried: %s', async (code) => {
    const ran = await run(planOf(targetOf(plays('a', [error(code, { retryable: false, retryAfter: 1 })]))))
    expect(ran).toMatchObject({ error: { code }, answers: [{ attempts: 1 }], pauses: [], retried: [] })
  })
})

describe('a rate-limited target', () => {
  const limited = error('upstream_rate_limited', { retryAfter: 60 })
  let time = 0
  const breaker = (failures = 2) => new Breaker({ failures, cooldownMs: 1000, now: () => time })

  it('is skipped for the time it asked for', async () => {
    const provider = plays('a', [limited], answer)
    const plan = planOf(targetOf(provider, { breaker: breaker() }), targetOf(plays('b', answer)))
    expect(await run(plan)).toMatchObject({ ended: ['a:upstream_rate_limited', 'b:ok'] })
    time += 59_999
    expect(await run(plan)).toMatchObject({ ended: ['b:ok'], answers: [{ provider: 'b', attempts: 1 }] })
    time += 1
    expect(await run(plan)).toMatchObject({ ended: ['a:ok'] })
  })

  it('is skipped briefly when it names no time', async () => {
    const provider = plays('a', [error('upstream_rate_limited')], answer)
    const plan = planOf(targetOf(provider, { breaker: breaker(), retries: 0 }), targetOf(plays('b', answer)))
    await run(plan)
    expect(await run(plan)).toMatchObject({ ended: ['b:ok'] })
    time += 60_000
    expect(await run(plan)).toMatchObject({ ended: ['a:ok'] })
  })

  it('is used anyway when every target is rate-limited', async () => {
    const first = plays('a', [limited], answer)
    const second = plays('b', [limited], answer)
    const plan = planOf(targetOf(first, { breaker: breaker() }), targetOf(second, { breaker: breaker() }))
    expect(await run(plan)).toMatchObject({
      error: limited,
      ended: ['a:upstream_rate_limited', 'b:upstream_rate_limited'],
    })
    expect(await run(plan)).toMatchObject({ text: 'answer', ended: ['a:ok'] })
  })

  it('is used anyway when the breakers of the others are open', async () => {
    const alone = breaker(1)
    alone.enter()!.failed()
    const provider = plays('a', [limited], answer)
    const plan = planOf(targetOf(provider, { breaker: breaker() }), targetOf(plays('b', answer), { breaker: alone }))
    expect(await run(plan)).toMatchObject({ error: limited })
    expect(await run(plan)).toMatchObject({ text: 'answer', ended: ['a:ok'] })
  })

  it('is not skipped while another key is left', async () => {
    const keys = ['one', 'two'].map((key) => ({ key, weight: 1 }))
    const provider = plays('a', [limited], answer)
    const target = targetOf(provider, { keys, breaker: breaker(), retries: 0 })
    const plan = planOf(target, targetOf(plays('b', answer)))
    expect(await run(plan)).toMatchObject({ ended: ['a:upstream_rate_limited', 'b:ok'] })
    expect(await run(plan)).toMatchObject({ ended: ['a:ok'] })
  })

  it('is skipped when its last key is limited', async () => {
    const keys = ['one', 'two'].map((key) => ({ key, weight: 1 }))
    const target = targetOf(plays('a', [error('upstream_auth')], [limited], answer), { keys, breaker: breaker() })
    const plan = planOf(target, targetOf(plays('b', answer)))
    expect(await run(plan)).toMatchObject({ ended: ['a:upstream_auth', 'a:upstream_rate_limited', 'b:ok'] })
    expect(await run(plan)).toMatchObject({ ended: ['b:ok'] })
  })
})

describe('keys', () => {
  const keys = ['one', 'two', 'three'].map((key) => ({ key, weight: 1 }))
  const used = (provider: ReturnType<typeof plays>) => provider.contexts.map(({ apiKey }) => apiKey)

  it.each<[code: ErrorCode, options: SluiceErrorOptions]>([
    ['upstream_auth', {}],
    ['upstream_rate_limited', {}],
    ['upstream_rate_limited', { retryable: false }],
    ['upstream_rate_limited', { retryAfter: 3600 }],
  ])('are changed at once after %s %o', async (code, options) => {
    const provider = plays('a', [error(code, options)], [error(code, options)], answer)
    const ran = await run(planOf(targetOf(provider, { keys })))
    expect(ran).toMatchObject({ text: 'answer', pauses: [0, 0] })
    expect(new Set(used(provider)).size).toBe(3)
  })

  it('that have all been refused make the next target’s turn, which avoids them', async () => {
    const [first, second] = keys
    const provider = plays('a', [error('upstream_auth')], [error('upstream_auth')], answer)
    const plan = planOf(
      targetOf(provider, { keys: [first!, second!] }),
      targetOf(provider, { keys, name: 'a/other', model: 'other' }),
    )
    const ran = await run(plan)
    expect(ran).toMatchObject({ text: 'answer', answers: [{ model: 'other', attempts: 3 }] })
    expect(used(provider).at(-1)).toBe('three')
  })

  it('are not to blame for other failures', async () => {
    const provider = plays('a', [busy], answer)
    const ran = await run(planOf(targetOf(provider, { keys: [keys[0]!] })))
    expect(used(provider)).toEqual(['one', 'one'])
    expect(ran.pauses).toEqual([125])
  })
})

describe('breakers', () => {
  const open = (cooldownMs: number) => {
    const breaker = new Breaker({ failures: 1, cooldownMs, now: () => 0 })
    breaker.enter()!.failed()
    return breaker
  }

  it('that are open make their targets be passed over', async () => {
    const left = plays('a', answer)
    const ran = await run(planOf(targetOf(left, { breaker: open(9000) }), targetOf(plays('b', answer))))
    expect(ran).toMatchObject({ text: 'answer', answers: [{ provider: 'b', attempts: 1 }] })
    expect(left.requests).toEqual([])
  })

  it('that are all open are an error that says when to come back', async () => {
    const plan = planOf(
      targetOf(plays('a', answer), { breaker: open(9000) }),
      targetOf(plays('b', answer), { breaker: open(4000) }),
    )
    expect(await run(plan)).toMatchObject({
      error: { code: 'upstream_unavailable', retryable: true, retryAfter: 4 },
      answers: [{ provider: 'a', attempts: 0 }],
      ended: [],
    })
  })

  it('that open between two attempts end the retries, without a wait', async () => {
    const breaker = new Breaker({ failures: 2, cooldownMs: 1000 })
    const other = async () => breaker.enter()!.failed()
    const ran = await run(planOf(targetOf(plays('a', [busy], [other, busy]), { breaker, retries: 9 })))
    expect(ran).toMatchObject({ error: busy, answers: [{ attempts: 2 }], pauses: [125] })
    expect(breaker.closed).toBe(false)
  })

  it('count one failure per request, however often it is retried', async () => {
    const breaker = new Breaker({ failures: 2, cooldownMs: 1000 })
    const target = targetOf(plays('a', [busy]), { breaker, retries: 9 })
    expect(await run(planOf(target, target))).toMatchObject({ error: busy, answers: [{ attempts: 20 }] })
    expect(breaker.closed).toBe(true)
    await run(planOf(target))
    expect(breaker.closed).toBe(false)
  })

  it.each<[what: string, script: Step[], opens: boolean]>([
    ['a failure that may pass', [busy], true],
    ['a key that is refused', [error('upstream_auth')], true],
    ['an unpaid bill', [error('upstream_rate_limited', { retryable: false })], false],
    ['a rate limit', [error('upstream_rate_limited')], false],
    ['a rate limit after the first token', [text('x'), error('upstream_rate_limited')], false],
    ['a non-retryable failure', [error('upstream_unavailable', { retryable: false })], false],
    ['a failure after the first token', [text('x'), busy], true],
    ['an end without done after the first token', [text('x')], true],
    ['a done that tells of an error', [text('x'), failed('upstream_error')], true],
    ['a request that is wrong', [error('upstream_rejected')], false],
    ['a model that is not there', [error('upstream_not_found')], false],
    ['a bug', [new TypeError('no')], false],
    ['an answer', answer, false],
  ])('hear of %s', async (_, script, opens) => {
    const breaker = new Breaker({ failures: 1, cooldownMs: 1000 })
    await run(planOf(targetOf(plays('a', script), { breaker })))
    expect(breaker.closed).toBe(!opens)
  })

  it('do not hear of totalTimeoutMs', async () => {
    const breaker = new Breaker({ failures: 1, cooldownMs: 1000 })
    const target = targetOf(plays('a', [text('x'), silence]), { breaker })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const running = run(planOf({ ...target, timeouts: { ...target.timeouts, totalTimeoutMs: 10 } }))
    await vi.advanceTimersByTimeAsync(10)
    expect(await running).toMatchObject({ text: 'x', error: { code: 'upstream_timeout' } })
    expect(breaker.closed).toBe(true)
  })

  it('are closed by the first token of a probe, however long the rest takes', async () => {
    const breaker = new Breaker({ failures: 1, cooldownMs: 0 })
    breaker.enter()!.failed()
    const seen: boolean[] = []
    const look = async () => void seen.push(breaker.closed)
    await run(planOf(targetOf(plays('a', [look, ROLE, look, text('x'), look, STOP]), { breaker })))
    expect(seen).toEqual([false, false, true])
  })

  it('hear nothing from a request that was given up', async () => {
    const breaker = new Breaker({ failures: 1, cooldownMs: 1000 })
    const gone = new AbortController()
    const ran = await run(planOf(targetOf(plays('a', [text('x'), silence]), { breaker })), {
      signal: gone.signal,
      answeredBy: () => setImmediate(() => gone.abort(new Error('gone'))),
    })
    expect(ran).toMatchObject({ text: 'x', error: new Error('gone'), ended: ['a:cancelled'] })
    expect(breaker.closed).toBe(true)
  })
})
