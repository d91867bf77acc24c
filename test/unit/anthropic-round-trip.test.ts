import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'
import type { StreamLog } from '../../src/stream/stream-log.ts'
import { answers, eventsOf, logOf, recordings, sdkMessage } from './anthropic-recordings.ts'

/** What a reader is sent that comes with the cursor `from` and reads up to each of these places in turn. */
function framesOf(log: StreamLog, places: readonly number[], from = 0): string {
  let text = ''
  let encoder = anthropicMessages.encoder(log.info)
  let cursor = 0
  const readTo = (end: number) => {
    for (let batch = log.read(cursor, end); batch; batch = log.read(cursor, end)) {
      const encoded = encoder.encode(batch)
      if (cursor >= from) text += encoded.text
      encoder = encoded.next
      cursor = batch.last
    }
  }
  for (const end of [from, ...places]) readTo(end)
  return text
}

/** One of them leaves out how it ends, which a provider may forgive and an SDK does not. */
async function recordedMessage(name: string): Promise<unknown> {
  const frames = new TextDecoder().decode(recordings[name])
  const stop = 'event: message_stop\ndata: {"type":"message_stop"}\n\n'
  return sdkMessage(frames.includes('message_stop') ? frames : frames + stop)
}

const everyEvent = (log: StreamLog) => Array.from({ length: log.last }, (_, i) => i + 1)

const anyPlaces = (log: StreamLog) =>
  fc.array(fc.nat(log.last), { maxLength: 6 }).map((places) => places.toSorted((a, b) => a - b))

describe.each(answers)('%s, told again', (name) => {
  it('is to the SDK the message that it was, event by event and in one batch', async () => {
    const log = logOf(eventsOf(name))
    const message = await recordedMessage(name)
    expect(await sdkMessage(framesOf(log, everyEvent(log)))).toEqual(message)
    expect(await sdkMessage(framesOf(log, [log.last]))).toEqual(message)
  })

  it('is that message however it is read, and wherever a reader leaves and comes back', async () => {
    const log = logOf(eventsOf(name))
    const message = await recordedMessage(name)
    await fc.assert(
      fc.asyncProperty(anyPlaces(log), anyPlaces(log), fc.nat(log.last), async (before, after, cursor) => {
        const first = framesOf(log, [...before.filter((place) => place < cursor), cursor])
        const rest = framesOf(log, [...after.filter((place) => place > cursor), log.last], cursor)
        expect(await sdkMessage(first + rest)).toEqual(message)
      }),
      { numRuns: 25 },
    )
  })

  it('is that message as a whole answer, too', async () => {
    const answer: unknown = JSON.parse(JSON.stringify(await anthropicMessages.renderWhole(logOf(eventsOf(name)))))
    const message = JSON.stringify(await recordedMessage(name), (key, value: unknown) =>
      key === 'parsed_output' ? undefined : value,
    )
    // The SDK makes an object of an input that was cut off.
    const cut = name === 'max-tokens' ? { content: [expect.objectContaining({ input: '{"path": "/a", "te' })] } : {}
    expect(answer).toMatchObject({ ...JSON.parse(message), ...cut })
  })

  it('has the seq on the last frame of each event, and on no other', () => {
    const log = logOf(eventsOf(name))
    let encoder = anthropicMessages.encoder(log.info)
    for (let seq = 1; seq <= log.last; seq++) {
      const { text, frames, next } = encoder.encode(log.read(seq - 1, seq)!)
      expect(encoder.encode(log.read(seq - 1, seq)!).text).toBe(text)
      const each = text.split('\n\n').slice(0, -1)
      expect(each.length).toBe(frames)
      for (const [i, frame] of each.entries())
        expect(/^id: (\d+)$/m.exec(frame)?.[1]).toBe(i === frames - 1 ? String(seq) : undefined)
      encoder = next
    }
  })
})
