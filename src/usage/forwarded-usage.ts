// What a response that is passed on says of its usage.

import { isRecord, parseJson } from '../json.ts'
import type { Usage } from '../stream/events.ts'

/** The usage of a response is at its end. */
const TAIL_BYTES = 4096

const NAME = '"usage"'

/** Keeps the end of a response while it passes. */
export class ResponseTail {
  readonly #bytes = Buffer.allocUnsafe(TAIL_BYTES)
  #length = 0

  add(bytes: Uint8Array): void {
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
}

/** Whether a response of this kind may tell its usage. */
export function tellsUsage(headers: ReadonlyMap<string, string>): boolean {
  return (
    /^(application\/json|text\/event-stream)\b/.test(headers.get('content-type') ?? '') &&
    (headers.get('content-encoding') ?? 'identity') === 'identity'
  )
}

/** Within a text of JSON, its quotes would be escaped: what is found is a field. */
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
