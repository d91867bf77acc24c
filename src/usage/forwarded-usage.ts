// The usage of a response that is passed on: as reported in it, or estimated.

import { isRecord, parseJson } from '../json.ts'
import type { Usage } from '../stream/events.ts'

/** The usage of a response is at its end. */
const TAIL_BYTES = 4096

const NAME = '"usage"'

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const COLON = 0x3a

/** Keeps the end of a response while it passes. */
export class ResponseTail {
  readonly #bytes = Buffer.allocUnsafe(TAIL_BYTES)
  #length = 0
  /** Lines of an event stream that have a field: each of OpenAI's events has one, for about a token. */
  #lines = 0
  #isInLine = false
  readonly #isStream: boolean

  constructor({ isStream = false } = {}) {
    this.#isStream = isStream
  }

  add(bytes: Uint8Array): void {
    if (this.#isStream) this.#countLines(bytes)
    const added = bytes.subarray(-TAIL_BYTES)
    const kept = Math.min(this.#length, TAIL_BYTES - added.length)
    if (kept < this.#length) this.#bytes.copyWithin(0, this.#length - kept, this.#length)
    this.#bytes.set(added, kept)
    this.#length = kept + added.length
  }

  /** The last usage in it; undefined when there is none. */
  usage(): Usage | undefined {
    return readUsage(this.#bytes.toString('utf8', 0, this.#length))
  }

  /**
   * For an answer that was cut before it told its usage, and for a stream that tells none.
   *
   * @param promptTokens an estimate
   */
  estimate(promptTokens: number, isCut: boolean): Usage | undefined {
    if (!isCut && !this.#isStream) return undefined
    const completion_tokens = this.#lines
    return {
      prompt_tokens: promptTokens,
      completion_tokens,
      total_tokens: promptTokens + completion_tokens,
      estimated: true,
    }
  }

  /** Comments, which begin with a colon, are not counted. */
  #countLines(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (byte === LINE_FEED || byte === CARRIAGE_RETURN) this.#isInLine = false
      else if (!this.#isInLine) {
        this.#isInLine = true
        if (byte !== COLON) this.#lines += 1
      }
    }
  }
}

/** Undefined for a response of a kind that never tells its usage. */
export function tailOf(headers: ReadonlyMap<string, string>): ResponseTail | undefined {
  const [, type] = /^(application\/json|text\/event-stream)\b/.exec(headers.get('content-type') ?? '') ?? []
  if (type === undefined || (headers.get('content-encoding') ?? 'identity') !== 'identity') return undefined
  return new ResponseTail({ isStream: type === 'text/event-stream' })
}

/** A match is a field: within a text of JSON, the quotes would be escaped. */
function readUsage(text: string): Usage | undefined {
  const at = text.lastIndexOf(NAME)
  if (at < 0) return undefined
  const [, object = ''] = /^\s*:\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})/.exec(text.slice(at + NAME.length)) ?? []
  try {
    return toUsage(parseJson(object))
  } catch {
    return undefined
  }
}

function toUsage(value: unknown): Usage | undefined {
  if (!isRecord(value)) return undefined
  const { input_tokens, prompt_tokens = input_tokens, output_tokens, completion_tokens = output_tokens } = value
  const { prompt_tokens_details = value.input_tokens_details } = value
  const [prompt, completion] = [toCount(prompt_tokens), toCount(completion_tokens)]
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    ...(isRecord(prompt_tokens_details) && { prompt_tokens_details }),
  }
}

function toCount(value: unknown): number {
  return typeof value === 'number' && value >= 0 && value < Infinity ? value : 0
}
