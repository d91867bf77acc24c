import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventList } from '../../src/stream/event-list.ts'
import type { StreamEvent } from '../../src/stream/events.ts'

const content = (text: string): StreamEvent => ({ type: 'delta', content: text })
const reasoning = (text: string): StreamEvent => ({ type: 'delta', reasoning: text })

/** Long runs of texts, as streams have them, with something else now and then. */
const anyText = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
  { weight: 1, arbitrary: fc.constantFrom('', '\ud83d', 'x'.repeat(255), 'y'.repeat(0xffff), 'z'.repeat(0x10000)) },
)
const anyRun = fc.oneof(
  { weight: 4, arbitrary: fc.array(anyText.map(content), { maxLength: 150, size: 'max' }) },
  { weight: 2, arbitrary: fc.array(anyText.map(reasoning), { maxLength: 150, size: 'max' }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<StreamEvent[]>(
      [{ type: 'delta', role: 'assistant' }],
      [{ type: 'delta', content: 'a', reasoning: 'b' }],
      [{ type: 'delta', index: 1, content: 'second' }],
      [{ type: 'delta', content: 'c', carried: { openai: { choice: { logprobs: null } } } }],
    ),
  },
)
const anyEvents = fc.array(anyRun, { maxLength: 8 }).map((runs) => runs.flat())

function listOf(events: readonly StreamEvent[]): EventList {
  const list = new EventList()
  for (const event of events) list.push(event)
  return list
}

/** As the log reads it, every event by itself. */
function each(list: EventList): StreamEvent[] {
  return Array.from({ length: list.length }, (_, index) => list.read(index, index + 1, Infinity).event)
}

describe('a list of events', () => {
  it('has each event where it was put, whatever is packed with it', () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        expect(each(listOf(events))).toEqual(events)
      }),
    )
  })

  it('reads adjacent texts together, from anywhere to anywhere, and stops where it is told', () => {
    fc.assert(
      fc.property(anyEvents, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 200 }), (events, a, b, length) => {
        const list = listOf(events)
        const [from, end] = [a % (events.length + 1), b % (events.length + 1)]
        const read: StreamEvent[] = []
        for (let index = from; index < end;) {
          const { event, count } = list.read(index, end, length)
          const together = events.slice(index, index + count)
          expect(count).toBeGreaterThan(0)
          expect(index + count).toBeLessThanOrEqual(end)
          // Without its last text there would be too little.
          if (count > 1) expect(textOf(together.slice(0, -1)).length).toBeLessThan(length)
          expect(textOf([event])).toBe(textOf(together))
          read.push(...together)
          index += count
        }
        expect(read).toEqual(events.slice(from, Math.max(from, end)))
      }),
    )
  })

  it('holds while it grows: what was read before reads the same', () => {
    const list = new EventList()
    const events = Array.from({ length: 300 }, (_, i) => (i % 100 === 99 ? reasoning(`r${i}`) : content(`${i} `)))
    for (const [i, event] of events.entries()) {
      list.push(event)
      expect(list.length).toBe(i + 1)
      expect(each(list)).toEqual(events.slice(0, i + 1))
    }
  })
})

function textOf(events: readonly StreamEvent[]): string {
  return events.map((event) => (event.type === 'done' ? '' : `${event.content ?? ''}${event.reasoning ?? ''}`)).join('')
}
