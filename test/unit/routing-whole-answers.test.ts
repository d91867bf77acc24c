import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SluiceError, type ErrorCode } from '../../src/errors.ts'
import { Run, type RunSink } from '../../src/routing/run.ts'
import type { StreamEvent } from '../../src/stream/events.ts'
import { planOf, plays, ROLE, run, silence, STOP, targetOf, text, type Step } from './routing-plans.ts'

const whole = { mayHoldBack: () => true }
const broken = new SluiceError('upstream_disconnected', 'It broke.')
const answer: Step[] = [[ROLE, text('an')], text('swer'), STOP]

function failed(code: ErrorCode): StreamEvent {
  return { type: 'done', finish_reason: 'error', error: { code, message: 'no', retryable: true } }
}

describe('an answer that its only reader gets whole', () => {
  it('is tried again when it fails after its first token, and leaves no trace', async () => {
    const ran = await run(planOf(targetOf(plays('a', [text('lost'), broken], answer))), whole)
    expect(ran).toMatchObject({
      events: [ROLE, text('an'), text('swer'), STOP],
      error: undefined,
      answers: [{ provider: 'a', attempts: 2 }],
      pauses: [125],
      ended: ['a:upstream_disconnected', 'a:ok'],
    })
  })

  it.each<[what: string, script: Step[]]>([
    ['an error', [text('lost'), new SluiceError('upstream_invalid_response', 'No.', { retryable: false })]],
    ['a done that tells of an error', [text('lost'), failed('upstream_error')]],
    ['a done that tells of an error, with the first token', [[text('lost'), failed('upstream_error')]]],
    ['an end without done', [text('lost')]],
    ['nonsense', [text('lost'), null as never]],
  ])('comes from the next target after %s', async (_, script) => {
    const plan = planOf(targetOf(plays('a', script), { retries: 0 }), targetOf(plays('b', answer)))
    expect(await run(plan, whole)).toMatchObject({ text: 'answer', answers: [{ provider: 'b', attempts: 2 }] })
  })

  it('is told as far as it came when no target is left', async () => {
    const plan = planOf(
      targetOf(plays('a', [text('one'), broken]), { retries: 0 }),
      targetOf(plays('b', [text('two'), broken])),
    )
    const ran = await run(plan, whole)
    expect(ran).toMatchObject({ text: 'two', error: broken, answers: [{ provider: 'b', attempts: 4 }] })
  })

  it('that took the whole of its time is not tried again with the same target', async () => {
    const target = targetOf(plays('a', [text('x'), silence]))
    const slow = { ...target, timeouts: { ...target.timeouts, totalTimeoutMs: 10 } }
    expect(await run(planOf(slow), whole)).toMatchObject({
      text: 'x',
      error: { code: 'upstream_timeout' },
      ended: ['a:upstream_timeout'],
    })
    const plan = planOf(slow, targetOf(plays('b', answer)))
    expect(await run(plan, whole)).toMatchObject({ text: 'answer', ended: ['a:upstream_timeout', 'b:ok'] })
  })

  it('that was refused because of the request is not tried again', async () => {
    const refused = new SluiceError('upstream_rejected', 'No.')
    const plan = planOf(targetOf(plays('a', [text('x'), refused])), targetOf(plays('b', answer)))
    expect(await run(plan, whole)).toMatchObject({ error: refused, answers: [{ attempts: 1 }] })
  })

  it('is held back up to a bound, which is counted, and then it is not tried again', async () => {
    const parts = Array.from({ length: 40 }, () => text('x'.repeat(32 * 1024)))
    const ran = await run(planOf(targetOf(plays('a', [...parts, broken], answer))), whole)
    expect(ran).toMatchObject({ events: parts, error: broken, answers: [{ attempts: 1 }] })
    expect(ran.held).toBeGreaterThan(900 * 1024)
    expect(ran.held).toBeLessThan(1100 * 1024)
  })

  it('is passed on as it came: event by event, whenever other readers come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ minLength: 1 }), { minLength: 1 }), fc.nat(12), async (texts, asked) => {
        let questions = 0
        const mayHoldBack = () => (questions += 1) <= asked
        const events = [...texts.map(text), STOP]
        const failing: Step[] = [...texts.map(text), broken]
        const ran = await run(planOf(targetOf(plays('a', events))), { mayHoldBack })
        expect(ran.events).toEqual(events)
        questions = 0
        // It fails at the end: either everything had been held back, and it is tried again, or it is an error.
        const second = await run(planOf(targetOf(plays('a', failing, events))), { mayHoldBack })
        if (second.error) expect(second.events).toEqual(events.slice(0, -1))
        else expect(second.events).toEqual(events)
        expect(second.error === undefined).toBe(asked > texts.length)
      }),
    )
  })

  it('is passed on before its stream is cancelled', async () => {
    const pushed: StreamEvent[] = []
    let onHeld = () => {}
    const held = new Promise<void>((resolve) => (onHeld = resolve))
    const sink: RunSink = {
      answeredBy() {},
      push: (events) => void pushed.push(...events),
      alive: (_, bytes) => (bytes > 0 ? onHeld() : undefined),
      end() {},
    }
    const abort = new AbortController()
    const plan = planOf(targetOf(plays('a', [text('so far'), silence])))
    void new Run(plan, sink, { signal: abort.signal, streamId: 'str_1', ...whole }).open({ messages: [] })
    await held
    expect(pushed).toEqual([])
    sink.beforeCancel?.()
    expect(pushed).toEqual([text('so far')])
    abort.abort()
  })

  it('is told as far as it came when its stream is cancelled before it is tried again', async () => {
    const pushed: StreamEvent[] = []
    const told: unknown[] = []
    const sink: RunSink = {
      answeredBy: (by) => void told.push(by),
      push: (events) => void pushed.push(...events),
      end() {},
    }
    const abort = new AbortController()
    const cancel = async () => {
      sink.beforeCancel?.()
      abort.abort()
      abort.signal.throwIfAborted()
    }
    const plan = planOf(targetOf(plays('a', [text('so far'), broken], answer)))
    const context = { signal: abort.signal, streamId: 'str_1', pause: cancel, ...whole }
    await new Run(plan, sink, context).open({ messages: [] })
    expect(pushed).toEqual([text('so far')])
    expect(told).toMatchObject([{ provider: 'a', attempts: 1 }])
  })
})
