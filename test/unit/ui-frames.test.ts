import { readUIMessageStream, uiMessageChunkSchema, type UIMessageChunk } from 'ai'
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { sharedFrames } from '../../src/protocols/shared-frames.ts'
import { uiMessages } from '../../src/protocols/ui/ui-messages.ts'
import type { Delta, Done } from '../../src/stream/events.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'
import { anyDelta } from './any-delta.ts'

function newLog(): StreamLog {
  return new StreamLog({ id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0 })
}

const anyDone = fc.constantFrom<Done>(
  { type: 'done', finish_reason: 'stop' },
  { type: 'done', finish_reason: 'length' },
  { type: 'done', finish_reason: 'cancelled' },
  { type: 'done', finish_reason: 'error', error: { code: 'provider_failed', message: 'no', retryable: false } },
)

/** The chunks of frames, without the mark of the end, which clients do not count. */
function chunksOf(frames: string): string[] {
  return [...frames.matchAll(/^data: (.*)$/gm)].map(([, data]) => data!).filter((data) => data !== '[DONE]')
}

/** All that is there for a reader which has `received` chunks. */
function readFrom(log: StreamLog, received: number): string[] {
  const read = sharedFrames(log, uiMessages).reader(undefined, received)
  let cursor = 0
  let text = ''
  for (let frames = read(cursor); frames; frames = read(cursor)) {
    text += frames.payload.text
    cursor = frames.last
  }
  return chunksOf(text)
}

/** After each append some connections read, one after the other, up to their cut; each goes on where the last ended. */
const schedule = fc.array(
  fc.record({ events: fc.nat({ max: 5 }), cuts: fc.array(fc.nat({ max: 6 }), { maxLength: 3 }) }),
)

it('a reader that counts its chunks gets each once, wherever its connections are cut', () => {
  fc.assert(
    fc.property(fc.array(anyDelta, { maxLength: 40 }), anyDone, schedule, (deltas, done, steps) => {
      const log = newLog()
      const waiting: (Delta | Done)[] = [...deltas, done]
      const received: string[] = []
      for (const { events, cuts } of steps) {
        for (const event of waiting.splice(0, events)) log.append(event)
        for (const cut of cuts) received.push(...readFrom(log, received.length).slice(0, cut))
      }
      for (const event of waiting) log.append(event)
      received.push(...readFrom(log, received.length))
      expect(received).toEqual(readFrom(log, 0))
    }),
  )
})

it('long answers are read in batches, and numbered across them', () => {
  const log = newLog()
  for (let i = 0; i < 1000; i++) log.append({ type: 'delta', content: `${i} ` })
  log.append({ type: 'done', finish_reason: 'stop' })
  const all = readFrom(log, 0)
  expect(all).toHaveLength(3 + 1000 + 3)
  for (const received of [1, 2, 3, 4, 255, 256, 257, 600, 1005, 1006, 2000])
    expect(readFrom(log, received)).toEqual(all.slice(received))
})

it('whatever an upstream says is a message that the SDK can read', async () => {
  const { validate } = uiMessageChunkSchema()
  await fc.assert(
    fc.asyncProperty(fc.array(anyDelta, { maxLength: 20 }), anyDone, async (deltas, done) => {
      const log = newLog()
      for (const event of [...deltas, done]) log.append(event)
      const chunks: UIMessageChunk[] = []
      for (const json of readFrom(log, 0)) {
        const checked = await validate!(JSON.parse(json))
        expect(checked).toMatchObject({ success: true })
        chunks.push(JSON.parse(json))
      }
      const errors: unknown[] = []
      const stream = new ReadableStream<UIMessageChunk>({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(chunk)
          controller.close()
        },
      })
      let text = ''
      for await (const { parts } of readUIMessageStream({ stream, onError: (error) => void errors.push(error) }))
        text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
      expect(errors.map(String)).toEqual(done.finish_reason === 'error' ? ['Error: no'] : [])
      const said = deltas
        .filter(({ index = 0 }) => index === 0)
        .map(({ content = '', refusal = '' }) => content + refusal)
      expect(text).toBe(said.join(''))
    }),
    { numRuns: 200 },
  )
})
