import { describe, expect, it } from 'vitest'
import { ReaderCount } from '../../src/stream/readers.ts'

describe('a count of readers', () => {
  it('is the sum over all sources', () => {
    const count = new ReaderCount()
    const [bus, other] = [count.addSource(), count.addSource()]
    count.change(1)
    bus(3)
    other(2)
    expect(count.total).toBe(6)
    bus(0)
    expect(count.total).toBe(3)
  })

  it('loses a reader once, though it leaves twice', () => {
    const count = new ReaderCount()
    const leave = [count.enter(), count.enter()]
    leave[0]!()
    leave[0]!()
    expect(count.total).toBe(1)
  })

  it('tells each listener of every change, and of a reader that does not stay', () => {
    const count = new ReaderCount()
    const heard: string[] = []
    count.listen({ readersChanged: () => void heard.push(`a ${count.total}`) })
    count.listen({ readersChanged: () => void heard.push(`b ${count.total}`) })
    count.enter()
    count.change(0)
    expect(heard).toEqual(['a 1', 'b 1', 'a 1', 'b 1'])
  })

  it('calls the others when a listener stops listening while it is called', () => {
    const count = new ReaderCount()
    const heard: string[] = []
    const once = {
      readersChanged() {
        heard.push('once')
        count.unlisten(once)
      },
    }
    count.listen(once)
    count.listen({ readersChanged: () => void heard.push('always') })
    count.change(1)
    count.change(1)
    expect(heard).toEqual(['once', 'always', 'always'])
  })
})
