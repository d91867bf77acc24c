import { z } from 'zod'
import type { ChatRequest } from '../../src/chat-request.ts'
import { invalidRequest, isErrorCode, type ErrorCode } from '../../src/errors.ts'
import { toFaults } from '../../src/faults.ts'
import { wait, type StopSignal } from '../../src/stream/stop-signal.ts'
import { forwardMock, MOCK_ROUTES } from './forward.ts'
import { mulberry32 } from './random.ts'
import { writeText } from './text.ts'
import { ProviderError, stopSignalOf, type Delta, type Provider, type StreamEvent } from '../provider.ts'

const index = z.number().int().nonnegative()
const milliseconds = z.number().nonnegative().max(3_600_000)

/** Positions count deltas from 0; a token is a delta. */
const knobs = z.strictObject({
  /** Number of text tokens; by default 60 to 180, drawn from the seed. */
  tokens: index.max(10_000_000).optional(),
  /** Milliseconds between two tokens; 33 is about thirty tokens a second, 0 is full speed. */
  interval_ms: milliseconds.default(33),
  /** The same seed gives the same story and length. */
  seed: z.number().int().default(1),
  /** Text to send instead of a story. */
  text: z.string().optional(),
  /** Milliseconds before the first token; by default `interval_ms`. */
  first_token_ms: milliseconds.optional(),
  /** Stalls before this token … */
  stall_at: index.optional(),
  /** … for this many milliseconds; forever when absent. */
  stall_ms: milliseconds.optional(),
  /** Fails before this token … */
  fail_at: index.optional(),
  /** … with this code. */
  fail_code: z
    .custom<ErrorCode>((code) => typeof code === 'string' && isErrorCode(code), 'is not a code of Sluice')
    .default('upstream_error'),
  /** Ends before this token without a `done`. */
  truncate_at: index.optional(),
  /** Tokens of reasoning before the text. */
  reasoning_tokens: index.max(1_000_000).default(0),
  /** Ends with a call of this tool; `true` calls the first tool of the request. */
  tool_call: z
    .union([z.literal(true), z.strictObject({ name: z.string().min(1), arguments: z.record(z.string(), z.unknown()) })])
    .optional(),
})

type Knobs = z.infer<typeof knobs>

/** At full speed: number of deltas that are yielded together before the event loop continues. */
const BURST = 64

/** Full-speed mocks served per turn of the event loop. */
const BURSTS_PER_TURN = 8

class TurnQueue {
  #waiting: (() => void)[] = []

  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      if (this.#waiting.length === 1) setImmediate(this.#serve)
    })
  }

  readonly #serve = (): void => {
    for (const resolve of this.#waiting.splice(0, BURSTS_PER_TURN)) resolve()
    if (this.#waiting.length > 0) setImmediate(this.#serve)
  }
}

const fullSpeed = new TurnQueue()

/** Sends a generated story, or simulates failures of real providers. The request sets the knobs in its field `mock`. */
export function mock({ name = 'mock', models = ['mock'] as readonly string[] } = {}): Provider {
  return {
    name,
    models,
    // The caller requests these failures; the breaker must not open for other callers.
    exemptFromBreaker: true,
    check(request) {
      readKnobs(request)
    },
    routes: MOCK_ROUTES,
    forward: async (request) => forwardMock(request),
    stream(request, context) {
      return play(readKnobs(request), request, stopSignalOf(context))
    },
  }
}

function readKnobs(request: ChatRequest): Knobs {
  const result = z.object({ mock: knobs.prefault({}) }).safeParse({ mock: request.mock })
  if (result.success) return result.data.mock
  throw invalidRequest(toFaults(result.error.issues))
}

async function* play(
  knob: Knobs,
  request: ChatRequest,
  signal: StopSignal,
): AsyncGenerator<StreamEvent | StreamEvent[]> {
  const script = writeScript(knob, request)
  const pace = pacer(knob, signal)
  let position = 0
  let burst: Delta[] = []
  for (const delta of script.deltas()) {
    const eventful = position === knob.stall_at || position === knob.fail_at || position === knob.truncate_at
    if (burst.length > 0 && (eventful || burst.length === BURST || !pace.due(position))) {
      yield burst
      burst = []
    }
    if (position === knob.stall_at) await stall(knob.stall_ms, signal)
    if (position === knob.fail_at)
      throw new ProviderError({ code: knob.fail_code, message: 'The mock was told to fail.' })
    if (position === knob.truncate_at) return
    if (burst.length === 0) await pace.until(position)
    burst.push(delta)
    position += 1
  }
  if (burst.length > 0) yield burst
  const prompt_tokens = countPromptTokens(request)
  yield {
    type: 'done',
    finish_reason: script.finishReason,
    usage: { prompt_tokens, completion_tokens: position, total_tokens: prompt_tokens + position },
  }
}

/** Schedules tokens on the clock: a late timer does not slow the stream down. */
function pacer({ interval_ms, first_token_ms = interval_ms }: Knobs, signal: StopSignal) {
  const start = performance.now() + first_token_ms
  const left = (position: number) => start + position * interval_ms - performance.now()
  return {
    due: (position: number) => left(position) <= 0,
    async until(position: number): Promise<void> {
      const remaining = left(position)
      if (remaining > 0) await wait(remaining, signal)
      // A late token is due at once, but other streams need a turn of the event loop.
      else await fullSpeed.turn()
      signal.throwIfAborted()
    },
  }
}

async function stall(duration: number | undefined, signal: StopSignal): Promise<void> {
  if (duration !== undefined) await wait(duration, signal)
  else if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  signal.throwIfAborted()
}

function writeScript(knob: Knobs, request: ChatRequest) {
  const random = mulberry32(knob.seed)
  const wanted = knob.tokens ?? 60 + Math.floor(random() * 121)
  const limit = request.max_completion_tokens ?? request.max_tokens ?? Infinity
  const call = chooseCall(knob, request)
  const words = knob.text === undefined ? writeText(random) : tokenize(knob.text)
  const available = knob.text === undefined ? wanted : (knob.tokens ?? Infinity)
  let cut = false

  function* deltas(): Generator<Delta> {
    if (knob.reasoning_tokens > 0) {
      const thoughts = writeText(mulberry32(knob.seed + 1))
      for (let i = 0; i < knob.reasoning_tokens; i++) yield { type: 'delta', reasoning: thoughts.next().value ?? '' }
    }
    let written = 0
    for (const content of words) {
      if (written >= available) break
      if (written >= limit) {
        cut = true
        return
      }
      written += 1
      yield { type: 'delta', content }
    }
    if (call) yield* callDeltas(call)
  }

  return {
    deltas,
    get finishReason() {
      return cut ? ('length' as const) : call ? ('tool_calls' as const) : ('stop' as const)
    },
  }
}

interface Call {
  id: string
  name: string
  arguments: Record<string, unknown>
}

function chooseCall({ tool_call, seed }: Knobs, { tools }: ChatRequest): Call | undefined {
  if (tool_call === undefined) return undefined
  const id = `call_mock_${seed}`
  if (tool_call !== true) return { id, ...tool_call }
  return { id, name: tools?.[0]?.function?.name ?? 'mock_tool', arguments: { seed } }
}

function* callDeltas({ id, name, arguments: args }: Call): Generator<Delta> {
  yield { type: 'delta', tool_calls: [{ index: 0, id, type: 'function', function: { name, arguments: '' } }] }
  for (const [piece] of JSON.stringify(args).matchAll(/.{1,5}/gsu))
    yield { type: 'delta', tool_calls: [{ index: 0, function: { arguments: piece } }] }
}

/** Splits a text into pieces of about a token's size. */
function* tokenize(text: string): Generator<string> {
  for (const [word] of text.matchAll(/\s*[^\s]{1,6}|\s+$/gu)) yield word
}

/** Estimates four characters per token, as is usual for English. */
function countPromptTokens({ messages }: ChatRequest): number {
  let characters = 0
  for (const { content } of messages) {
    if (typeof content === 'string') characters += content.length
    else for (const part of content ?? []) characters += part.text?.length ?? 0
  }
  return Math.ceil(characters / 4)
}
