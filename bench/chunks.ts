import { MARK } from './request.ts'

/** Frames in a row before they repeat; long enough that no burst runs over the end twice. */
const CYCLE = 64
const IDENTITIES = 16

const WORDS =
  'the river carries a single drop of every boat that passed here while old gates open and close again without hurry or ' +
  'noise each spring flood brings what rain has left behind on stones near weirs mills canals and small towns still ' +
  'asleep under bridges where herons wait for morning light to find them in shallow water'

/** Chunks of one chat completion, encoded beforehand: an upstream that had to encode would have no core left. */
export interface ChunkRing {
  /** `count` tokens from the `position`-th on, each a chunk of HTTP of its own, as servers send them. */
  slice(position: number, count: number): Buffer
  readonly head: Buffer
  readonly tail: Buffer
  readonly frameBytes: number
}

/** Rings of different completions, to be dealt out in turn: no two neighbours share an id. */
export function createRings(padding = 0): ChunkRing[] {
  return Array.from({ length: IDENTITIES }, (_, identity) => createRing(identity, padding))
}

function createRing(identity: number, padding: number): ChunkRing {
  const fields = {
    id: `chatcmpl-${Buffer.from(`bench-identity-${identity}`.padEnd(21, '0')).toString('base64url')}`,
    object: 'chat.completion.chunk',
    created: 1_760_000_000 + identity,
    model: 'gpt-4.1-mini-2025-04-14',
    system_fingerprint: `fp_${(0x44_70_9d_6f_cb + identity).toString(16)}`,
  }
  const choice = (delta: object, finish_reason: string | null = null) => [
    { index: 0, delta, logprobs: null, finish_reason },
  ]
  const frame = (chunk: object) => httpChunk(`data: ${JSON.stringify({ ...fields, ...chunk })}\n\n`)
  const words = WORDS.split(' ')
  const frames = Array.from({ length: CYCLE }, (_, i) => {
    const content = ` ${MARK}${words[(i + identity) % words.length]}${'x'.repeat(padding)}`
    return frame({ choices: choice({ content }), usage: null })
  })
  // Twice around, so that a burst from any position is one piece of memory.
  const ring = Buffer.concat([...frames, ...frames])
  const starts = [0]
  for (const each of [...frames, ...frames]) starts.push(starts.at(-1)! + each.length)
  const usage = { prompt_tokens: 20, completion_tokens: 100, total_tokens: 120 }
  return {
    slice(position, count) {
      const from = position % CYCLE
      return ring.subarray(starts[from], starts[from + count])
    },
    head: frame({ choices: choice({ role: 'assistant', content: '', refusal: null }), usage: null }),
    tail: Buffer.concat([
      frame({ choices: choice({}, 'stop'), usage: null }),
      frame({ choices: [], usage }),
      httpChunk('data: [DONE]\n\n'),
    ]),
    frameBytes: ring.length / (2 * CYCLE),
  }
}

function httpChunk(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)
}
