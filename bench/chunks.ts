import { MARK } from './request.ts'

/** Frames in a row before they repeat; long enough that no burst runs over the end twice. */
const CYCLE = 64
const IDENTITIES = 16

const WORDS =
  'the river carries a single drop of every boat that passed here while old gates open and close again without hurry or ' +
  'noise each spring flood brings what rain has left behind on stones near weirs mills canals and small towns still ' +
  'asleep under bridges where herons wait for morning light to find them in shallow water'

/** What `node:http` would send with every response. */
const COMMON = 'date: Thu, 01 Jan 2026 00:00:00 GMT\r\nconnection: keep-alive\r\n'

const STREAM_HEAD = `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n${COMMON}transfer-encoding: chunked\r\n\r\n`

/** Chunks of one chat completion, encoded beforehand: an upstream that had to encode would have no core left. */
export interface ChunkRing {
  /** `count` tokens from the `position`-th on, each a chunk of HTTP of its own, as servers send them. */
  slice(position: number, count: number): Buffer
  /** The first so many tokens as one response. */
  whole(tokens: number): Buffer
  /** The head of the response, and the chunk before the first token. */
  readonly head: Buffer
  /** The chunks after the last token, and the end of the response. */
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
  const token = (i: number) => ` ${MARK}${words[(i + identity) % words.length]}${'x'.repeat(padding)}`
  const frames = Array.from({ length: CYCLE }, (_, i) => frame({ choices: choice({ content: token(i) }), usage: null }))
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
    whole(tokens) {
      const content = Array.from({ length: tokens }, (_, i) => token(i)).join('')
      const message = { role: 'assistant', content, refusal: null }
      const choices = [{ index: 0, message, logprobs: null, finish_reason: 'stop' }]
      return jsonResponse({ ...fields, object: 'chat.completion', choices, usage })
    },
    head: Buffer.concat([
      Buffer.from(STREAM_HEAD),
      frame({ choices: choice({ role: 'assistant', content: '', refusal: null }), usage: null }),
    ]),
    tail: Buffer.concat([
      frame({ choices: choice({}, 'stop'), usage: null }),
      frame({ choices: [], usage }),
      httpChunk('data: [DONE]\n\n'),
      httpChunk(''),
    ]),
    frameBytes: ring.length / (2 * CYCLE),
  }
}

/** A whole response, with HTTP around it. */
export function jsonResponse(value: object): Buffer {
  const body = JSON.stringify(value)
  const length = Buffer.byteLength(body)
  return Buffer.from(
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${COMMON}content-length: ${length}\r\n\r\n${body}`,
  )
}

function httpChunk(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)
}
