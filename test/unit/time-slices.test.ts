import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { collectMessage } from '../../src/protocols/native/native.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'
import { readInSlices, TimeSlices } from '../../src/stream/event-loop.ts'

/** Slices of three steps each: every step advances the clock. */
function slicesOfThree() {
  let now = 0
  const done: string[] = []
  const slices = new TimeSlices(3, () => now)
  const stepOf = (name: string, steps: number) => {
    const step = () => {
      now += 1
      done.push(name)
      if ((steps -= 1) > 0) slices.ask(step)
    }
    return step
  }
  return { slices, done, stepOf }
}

describe('TimeSlices', () => {
  it('take only their share of each turn', async () => {
    const { slices, done, stepOf } = slicesOfThree()
    slices.ask(stepOf('a', 7))
    expect(done).toHaveLength(0)
    for (const expected of [3, 6, 7, 7]) {
      await nextTurn()
      expect(done).toHaveLength(expected)
    }
  })

  it('serve all waiting steps in turn', async () => {
    const { slices, done, stepOf } = slicesOfThree()
    for (const name of ['a', 'b', 'c', 'd']) slices.ask(stepOf(name, 2))
    for (let turn = 0; turn < 3; turn++) await nextTurn()
    expect(done.join('')).toBe('abcdabcd')
  })

  it('call no step that has left, and call a step once that asked twice', async () => {
    const { slices, done, stepOf } = slicesOfThree()
    const [first, second] = [stepOf('a', 1), stepOf('b', 1)]
    slices.ask(first)
    slices.ask(second)
    slices.ask(second)
    slices.leave(first)
    await nextTurn()
    await nextTurn()
    expect(done).toEqual(['b'])
  })
})

/** A log of many batches. */
function longLog(): StreamLog {
  const log = new StreamLog({ id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0 })
  for (let i = 0; i < 100; i++) log.append({ type: 'delta', content: 'x'.repeat(16_384) })
  return log
}

describe('reading a log in slices', () => {
  it('visits every batch up to the given end, whatever is appended meanwhile', async () => {
    const log = longLog()
    const { last } = log
    let seen = 0
    const reading = readInSlices(log, last, ({ count }) => {
      seen += count
    })
    expect(seen).toBeLessThan(last)
    log.append({ type: 'delta', content: 'later' })
    await reading
    expect(seen).toBe(last)
  })

  it('rejects with the error of any batch, in any turn', async () => {
    const log = longLog()
    const failAt = (end: number) =>
      readInSlices(log, log.last, ({ last }) => {
        if (last >= end) throw new Error(`failed at ${end}`)
      })
    await expect(failAt(1)).rejects.toThrow('failed at 1')
    await expect(failAt(100)).rejects.toThrow('failed at 100')
  })

  it('collects the message as it was when requested', async () => {
    const log = longLog()
    const collecting = collectMessage(log)
    log.append({ type: 'delta', content: 'later' })
    expect((await collecting).content).toBe('x'.repeat(100 * 16_384))
  })
})
