import { createParser } from 'eventsource-parser'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameDecoder, type Frame } from '../../src/client/frame-decoder.ts'

function decode(chunks: string[]): { frames: Frame[]; comments: number; retries: number[] } {
  const seen = { frames: [] as Frame[], comments: 0, retries: [] as number[] }
  const decoder = new FrameDecoder({
    onFrame: (frame) => seen.frames.push(frame),
    onComment: () => (seen.comments += 1),
    onRetry: (ms) => seen.retries.push(ms),
  })
  for (const chunk of chunks) decoder.push(chunk)
  return seen
}

/** Text with every character that means something. */
const line = fc.oneof(
  fc.constantFrom(
    '',
    ':',
    ': heartbeat',
    'retry: 10',
    'retry: x',
    'data',
    'data:',
    'id',
    'id: 7',
    'event: done',
    'odd: 1',
  ),
  fc.string({ unit: fc.constantFrom('data', ':', ' ', 'x', 'é', '🌍', '\u2028') }),
)
const text = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\n', '\r\n', '\r')))
  .map((lines) => lines.map((parts) => parts.join('')).join(''))

describe('the decoder', () => {
  it('dispatches what a parser that is not ours does, however the text is cut', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(400)), (whole, places) => {
        const cuts = [0, ...places.filter((place) => place < whole.length).toSorted((a, b) => a - b), whole.length]
        const chunks = cuts.slice(1).map((end, index) => whole.slice(cuts[index], end))
        const theirs: [string, string][] = []
        createParser({ onEvent: ({ event = '', data }) => theirs.push([event, data]) }).feed(whole)
        // A CR at the very end may be half of a CRLF to them; a blank line after it settles the matter.
        const ours = decode(chunks).frames.map(({ name, data }): [string, string] => [name, data])
        expect(ours.slice(0, theirs.length)).toEqual(theirs)
        expect(ours.length - theirs.length).toBeLessThanOrEqual(whole.endsWith('\r') ? 1 : 0)
        expect(decode(chunks)).toEqual(decode([whole]))
      }),
    )
  })

  describe('bounds its memory:', () => {
    const MEGABYTE = 'x'.repeat(1024 * 1024)
    it.each<[what: string, chunk: string]>([
      ['rejects an endless line', MEGABYTE],
      ['rejects endless data', `data: ${MEGABYTE}\n`],
      ['rejects endless lines', 'data:\n'.repeat(200_000)],
      ['rejects endless comments', ':\n'.repeat(500_000)],
    ])('%s', (_, chunk) => {
      const decoder = new FrameDecoder({ onFrame: () => {}, onComment: () => {}, onRetry: () => {} })
      let pushed = 0
      const push = () => {
        for (; pushed < 100_000_000; pushed += chunk.length) decoder.push(chunk)
      }
      expect(push).toThrow(expect.objectContaining({ code: 'invalid_response' }))
      expect(pushed).toBeLessThan(20_000_000)
    })

    it('accepts any number of frames', () => {
      const { frames } = decode(Array.from({ length: 20 }, () => `data: ${MEGABYTE}\n\n`))
      expect(frames).toHaveLength(20)
    })
  })

  it('drops what is unfinished when the connection is over', () => {
    expect(decode(['id: 1\nevent: delta\ndata: {"content":"a"}\n']).frames).toEqual([])
  })

  it('keeps the last id, joins the lines of data, counts comments, reads `retry`', () => {
    expect(decode(['retry: 2500\n\nid: 4\ndata: a\ndata: b\n\n: heartbeat\n\nevent: x\ndata\n\n'])).toEqual({
      frames: [
        { name: '', data: 'a\nb', id: '4' },
        { name: 'x', data: '', id: '4' },
      ],
      comments: 1,
      retries: [2500],
    })
  })
})
