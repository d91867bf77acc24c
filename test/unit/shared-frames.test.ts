import * as fc from 'fast-check'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'
import { native, nativeEncoder } from '../../src/protocols/native/native.ts'
import { openaiChat } from '../../src/protocols/openai/chat.ts'
import { sharedFrames } from '../../src/protocols/shared-frames.ts'
import type { Delta } from '../../src/stream/events.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'
import { anyDelta } from './any-delta.ts'

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

  it('are encoded once for each of two cursors, in whatever order their readers come', () => {
    const log = newLog()
    log.append({ type: 'delta', content: 'a' })
    log.append({ type: 'delta', content: 'b' })
    const readers = Array.from({ length: 6 }, () => sharedFrames(log, native).reader())
    const payloads = readers.map((read, i) => read(i % 2)?.payload)
    expect(new Set(payloads).size).toBe(2)
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

  it.each([native, openaiChat, anthropicMessages])(
    'are the same from a cursor as from the start ($name)',
    (protocol) => {
      const longer = anyDelta.map((delta): Delta => ({ ...delta, content: (delta.content ?? '').padEnd(9000, '.') }))
      const deltas = fc.array(fc.oneof({ weight: 3, arbitrary: anyDelta }, { weight: 1, arbitrary: longer }))
      fc.assert(
        fc.property(deltas, fc.nat(), (written, place) => {
          const log = newLog()
          for (const delta of written) log.append(delta)
          log.append({ type: 'done', finish_reason: 'stop' })
          const cursor = place % log.last
          let encoder = protocol.encoder(log.info)
          for (let batch = log.read(0, cursor); batch; batch = log.read(batch.last, cursor))
            encoder = encoder.encode(batch).next
          let expected = ''
          for (let batch = log.read(cursor); batch; batch = log.read(batch.last)) {
            const { text, next } = encoder.encode(batch)
            expected += text
            encoder = next
          }
          // The first reader encodes the frames, the second finds some of them in the cache.
          for (const read of [sharedFrames(log, protocol).reader(), sharedFrames(log, protocol).reader()]) {
            let text = ''
            let at = cursor
            for (let frames = read(at); frames; frames = read(at)) {
              expect(frames.last).toBeGreaterThanOrEqual(at)
              text += frames.payload.text
              at = frames.last
            }
            expect(at).toBe(log.last)
            expect(text).toBe(expected)
          }
        }),
      )
    },
  )

  it('start at a cursor without reading earlier events, if the encoder has no state', () => {
    const log = newLog()
    for (let i = 0; i < 100; i++) log.append({ type: 'delta', content: 'x'.repeat(16_384) })
    const read = vi.spyOn(log, 'read')
    const encode = vi.spyOn(nativeEncoder, 'encode')
    onTestFinished(() => encode.mockRestore())
    expect(sharedFrames(log, native).reader()(99)?.last).toBe(100)
    expect(read).toHaveBeenCalledTimes(1)
    expect(encode).toHaveBeenCalledTimes(1)
  })

  it('are empty until the encoder has reached the cursor, one batch per call', () => {
    const log = newLog()
    for (let i = 0; i < 100; i++) log.append({ type: 'delta', content: 'x'.repeat(16_384) })
    const next = sharedFrames(log, openaiChat).reader()
    const read = vi.spyOn(log, 'read')
    for (let batch = 1; batch < 99; batch++) {
      expect(next(99)).toMatchObject({ last: 99, deltas: 0, payload: { byteLength: 0 } })
      expect(read).toHaveBeenCalledTimes(batch)
    }
    expect(next(99)).toMatchObject({ last: 100, deltas: 1 })
  })

  it('of full batches are encoded once for all late readers', () => {
    const log = newLog()
    for (let i = 0; i < 100; i++) log.append({ type: 'delta', content: 'x'.repeat(16_384) })
    const encode = vi.spyOn(nativeEncoder, 'encode')
    onTestFinished(() => encode.mockRestore())
    for (let reader = 0; reader < 10; reader++) {
      const read = sharedFrames(log, native).reader()
      for (let at = 0; at < log.last;) at = read(at)?.last ?? log.last
    }
    expect(encode.mock.calls.length).toBeLessThanOrEqual(100 + 9)
  })
})
