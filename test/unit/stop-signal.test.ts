import { describe, expect, it } from 'vitest'
import { Stopper, wait } from '../../src/stream/stop-signal.ts'

const REASON = new Error('enough')

describe('a stop signal', () => {
  it('is aborted once, with the first reason', () => {
    const stopper = new Stopper()
    const heard: unknown[] = []
    stopper.addEventListener('abort', () => heard.push(stopper.reason))
    stopper.abort(REASON)
    stopper.abort(new Error('too late'))
    expect(heard).toEqual([REASON])
    expect(() => stopper.throwIfAborted()).toThrow(REASON)
  })

  it('does not call a listener that an earlier one removes', () => {
    const stopper = new Stopper()
    const second = () => expect.unreachable('it has been removed')
    stopper.addEventListener('abort', () => stopper.removeEventListener('abort', second))
    stopper.addEventListener('abort', second)
    stopper.abort(REASON)
    expect(stopper.aborted).toBe(true)
  })

  it('gives those who ask an AbortSignal with its reason, before and after it is aborted', () => {
    const asked = new Stopper()
    const { signal } = asked
    expect(signal.aborted).toBe(false)
    asked.abort(REASON)
    expect(signal.reason).toBe(REASON)
    const late = new Stopper()
    late.abort(REASON)
    expect(late.signal.reason).toBe(REASON)
  })

  it('ends a wait', async () => {
    const stopper = new Stopper()
    const waited = wait(1_000_000, stopper)
    stopper.abort(REASON)
    await expect(waited).resolves.toBeUndefined()
    await expect(wait(1_000_000, stopper)).resolves.toBeUndefined()
  })
})
