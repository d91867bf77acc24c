import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { StreamEvent } from '../../src/stream/events.ts'
import type { Generation } from '../../src/stream/generation.ts'
import type { Produced } from '../../src/stream/source.ts'
import { eventsOf, newGeneration, silence, STOP, STOPPED, text } from './run-generation.ts'

const CANCELLED = { ...STOPPED, finish_reason: 'cancelled' }

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => {
  const left = vi.getTimerCount()
  vi.useRealTimers()
  expect(left, 'timers that outlive their stream').toBe(0)
})

function start(generation: Generation): Generation {
  void generation.run()
  return generation
}

/** Yields each event after its milliseconds, then says nothing more and hears nothing. */
function paced(...steps: [number, StreamEvent][]): () => AsyncIterable<Produced> {
  return async function* () {
    for (const [milliseconds, event] of steps) {
      await new Promise((resolve) => setTimeout(resolve, milliseconds))
      yield event
    }
    await silence()
  }
}

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds)

describe('the resume window', () => {
  const resumeWindowMs = 100
  const endless = () => newGeneration(paced(), { resumeWindowMs })
  const enter = ({ log }: Generation) => log.subscribe(() => {})

  it('ends a stream that nobody has come to read', async () => {
    const { log } = start(endless())
    await pass(99)
    expect(log.done).toBeUndefined()
    await pass(1)
    expect(eventsOf(log)).toEqual([CANCELLED])
  })

  it('does not begin while there is a reader', async () => {
    const generation = start(endless())
    const leave = enter(generation)
    await pass(10_000)
    expect(generation.log.done).toBeUndefined()
    leave()
    await pass(100)
    expect(eventsOf(generation.log)).toEqual([CANCELLED])
  })

  it('does not begin when a reader was there before the start', async () => {
    const generation = endless()
    const leave = enter(generation)
    start(generation)
    await pass(10_000)
    expect(generation.log.done).toBeUndefined()
    leave()
    await pass(100)
    expect(generation.log.done).toEqual(CANCELLED)
  })

  it('begins anew, in full, each time that the last reader has left', async () => {
    const generation = start(endless())
    for (let visit = 0; visit < 5; visit++) {
      await pass(99)
      enter(generation)()
    }
    await pass(99)
    expect(generation.log.done).toBeUndefined()
    await pass(1)
    expect(eventsOf(generation.log)).toEqual([CANCELLED])
  })

  it('does not begin while one of several readers stays', async () => {
    const generation = start(endless())
    const [first, second] = [enter(generation), enter(generation)]
    first()
    await pass(10_000)
    expect(generation.log.done).toBeUndefined()
    second()
    await pass(100)
    expect(generation.log.done).toEqual(CANCELLED)
  })

  it('does not begin while there is a reader elsewhere, whether or not one is here', async () => {
    const generation = start(endless())
    const setElsewhere = generation.log.readerCount.addSource()
    setElsewhere(2)
    enter(generation)()
    await pass(10_000)
    expect([generation.log.done, generation.log.readers]).toEqual([undefined, 0])
    setElsewhere(0)
    await pass(100)
    expect(generation.log.done).toEqual(CANCELLED)
  })

  it('lets a provider go on and finish without a reader', async () => {
    const { log } = start(newGeneration(paced([40, text('a')], [40, STOP]), { resumeWindowMs }))
    await pass(80)
    expect(eventsOf(log)).toEqual([text('a'), STOPPED])
  })

  it('does not touch a stream that has ended', async () => {
    const generation = start(newGeneration(paced([1, STOP]), { resumeWindowMs }))
    const leave = enter(generation)
    await pass(1)
    leave()
    enter(generation)()
    expect(vi.getTimerCount()).toBe(0)
    expect(eventsOf(generation.log)).toEqual([STOPPED])
  })
})
