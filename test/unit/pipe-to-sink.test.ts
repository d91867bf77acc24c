import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { StreamEvent } from '../../src/stream/events.ts'
import { pipeToSink, type Sink } from '../../src/stream/source.ts'
import { produced, STOP, text } from './run-generation.ts'

function recorder() {
  const heard: unknown[] = []
  const sink: Sink = {
    push: (events: readonly StreamEvent[]) => void heard.push(events),
    end: (failure) => void heard.push(failure ?? 'end'),
  }
  return { heard, sink }
}

describe('pipeToSink', () => {
  it('pushes what an iterable yields, one by one or in lists, and then its end', async () => {
    const { heard, sink } = recorder()
    pipeToSink(produced(text('a'), [], [text('b'), text('c')]), sink)
    await nextTurn()
    expect(heard).toEqual([[text('a')], [text('b'), text('c')], 'end'])
  })

  it('pushes nothing after `done`, not even an end', async () => {
    const { heard, sink } = recorder()
    pipeToSink(produced(text('a'), [text('b'), STOP, text('c')], text('d')), sink)
    await nextTurn()
    expect(heard).toEqual([[text('a')], [text('b'), STOP]])
  })

  it('ends with a failure at the first thing that is no event, after what came before it', async () => {
    const { heard, sink } = recorder()
    pipeToSink(produced(text('a'), [text('b'), null as never, STOP], STOP), sink)
    await nextTurn()
    expect(heard).toEqual([
      [text('a')],
      [text('b')],
      { error: expect.objectContaining({ code: 'provider_invalid_event' }) },
    ])
  })

  it('checks what is pushed as well as what is iterated', () => {
    const { heard, sink } = recorder()
    const source = {
      [Symbol.asyncIterator]: () => expect.unreachable('it can push'),
      pushTo(given: Sink) {
        given.push([text('a'), 'nonsense' as never], 1)
        given.push([text('b')], 2)
        given.end()
        return () => {}
      },
    }
    pipeToSink(source, sink)
    expect(heard).toEqual([[text('a')], { error: expect.objectContaining({ code: 'provider_invalid_event' }) }])
  })

  it('asks what can push to do so, and does not iterate it', () => {
    const { heard, sink } = recorder()
    let stopped = 0
    const source = {
      [Symbol.asyncIterator]: () => expect.unreachable('it can push'),
      pushTo(given: Sink) {
        given.push([STOP], 1)
        return () => void (stopped += 1)
      },
    }
    pipeToSink(source, sink)()
    expect(heard).toEqual([[STOP]])
    expect(stopped).toBe(1)
  })

  it('pushes nothing after it was stopped, and lets the iterable clean up', async () => {
    const { heard, sink } = recorder()
    let cleanedUp = false
    async function* endless() {
      try {
        while (true) yield text('a')
      } finally {
        cleanedUp = true
      }
    }
    const stop = pipeToSink(endless(), { ...sink, push: (events) => (heard.push(events), stop()) })
    await nextTurn()
    expect(heard).toEqual([[text('a')]])
    expect(cleanedUp).toBe(true)
  })
})
