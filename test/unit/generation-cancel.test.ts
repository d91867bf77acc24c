import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { StreamEvent } from '../../src/stream/events.ts'
import { eventsOf, newGeneration, produced, silence, STOP, STOPPED, text, untilAborted } from './run-generation.ts'

describe('cancel', () => {
  it('ends the stream at once and stops the provider', async () => {
    const generation = newGeneration(async function* (signal) {
      yield text('a')
      yield await untilAborted(signal)
    })
    const running = generation.run()
    await nextTurn()
    generation.cancel()
    expect(eventsOf(generation.log)).toEqual([text('a'), { ...STOPPED, finish_reason: 'cancelled' }])
    await running
    await generation.ended
    expect(eventsOf(generation.log)).toHaveLength(2)
  })

  it('does not wait for a provider that ignores its signal, and takes nothing more from it', async () => {
    let yieldLate: (event: StreamEvent) => void = () => {}
    const late = new Promise<StreamEvent>((resolve) => (yieldLate = resolve))
    const generation = newGeneration(async function* () {
      yield text('a')
      yield await late
      yield text('c')
    })
    const running = generation.run()
    await nextTurn()
    generation.cancel()
    await generation.ended
    yieldLate(text('b'))
    await running
    expect(eventsOf(generation.log)).toEqual([text('a'), { ...STOPPED, finish_reason: 'cancelled' }])
  })

  it('changes nothing when the stream has ended', async () => {
    const generation = newGeneration(() => produced(STOP))
    await generation.run()
    generation.cancel()
    expect(eventsOf(generation.log)).toEqual([STOPPED])
  })

  it('gives the provider a reason that is no failure', async () => {
    const reason = new Promise((resolve) => {
      const generation = newGeneration((signal) => {
        signal.addEventListener('abort', () => resolve(signal.reason))
        setImmediate(() => generation.cancel())
        return silent()
      })
      void generation.run()
    })
    expect(await reason).toMatchObject({ name: 'AbortError', message: 'The stream has ended.' })
    expect(await reason).not.toHaveProperty('code')
  })

  it('comes once: the first reason stays', async () => {
    const generation = newGeneration(silent)
    void generation.run()
    const error = { code: 'gateway_shutdown', message: 'Bye.', retryable: true }
    generation.cancel({ type: 'done', finish_reason: 'error', error })
    generation.cancel()
    expect(eventsOf(generation.log)).toMatchObject([{ finish_reason: 'error', error }])
  })

  it('before the start means that the provider is never asked', async () => {
    let asked = false
    const generation = newGeneration(() => {
      asked = true
      return produced(STOP)
    })
    generation.cancel()
    await generation.run()
    expect(asked).toBe(false)
    expect(eventsOf(generation.log)).toMatchObject([{ finish_reason: 'cancelled' }])
  })
})

async function* silent(): AsyncGenerator<never> {
  yield await silence()
}
