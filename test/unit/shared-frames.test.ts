import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { native } from '../../src/protocols/native.ts'
import { openaiChat } from '../../src/protocols/openai-chat.ts'
import { sharedFrames } from '../../src/protocols/shared-frames.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'

function newLog(): StreamLog {
  return new StreamLog({ id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0 })
}

describe('the frames of a log in a protocol', () => {
  it('are the same bytes for all readers at one cursor', () => {
    const log = newLog()
    const readers = [sharedFrames(log, native).reader(), sharedFrames(log, native).reader()]
    for (const content of ['a', 'b']) {
      log.append({ type: 'delta', content })
      const [first, second] = readers.map((read) => read(log.last - 1))
      expect(first?.last).toBe(log.last)
      expect(second?.payload).toBe(first?.payload)
    }
  })

  it.each([native, openaiChat])(
    'are not kept when the stream has ended, and come again as they were ($name)',
    async (protocol) => {
      const log = newLog()
      log.append({ type: 'delta', content: 'a' })
      log.append({ type: 'done', finish_reason: 'stop' })
      const ends = [sharedFrames(log, protocol), sharedFrames(log, protocol)].map((frames) => frames.reader()(0))
      expect(ends[1]?.payload).toBe(ends[0]?.payload)
      await turn()
      const later = sharedFrames(log, protocol).reader()(0)
      expect(later?.payload).not.toBe(ends[0]?.payload)
      expect(later?.payload.text).toBe(ends[0]?.payload.text)
      expect(later).toMatchObject({ last: 2, dones: 1 })
    },
  )
})
