// Requests that a server refuses because of one field, although it would answer the same request without it.

import { isRecord, type Fields } from '../../src/json.ts'
import type { Pushing, Sink } from '../../src/stream/source.ts'
import { isGiven } from '../received-fields.ts'
import { ProviderError, type StreamEvent } from '../provider.ts'

/** The error object of a refusal. */
interface Refusal {
  message: string
  param: unknown
  code: unknown
}

interface Adaptation {
  /** What the adaptation changes. For each of these, the last adaptation that worked is remembered. */
  about: 'limit' | 'stream_options' | 'include' | 'stream'
  isAskedFor(refusal: Refusal): boolean
  /** Undefined when there is nothing to change. */
  change(body: Fields): Fields | undefined
}

/** What Sluice asks for in the `include` of the Responses API. */
export const ENCRYPTED = 'reasoning.encrypted_content'

const UNKNOWN_CODES: ReadonlySet<unknown> = new Set(['unsupported_parameter', 'unknown_parameter', 'unsupported_value'])
const UNKNOWN_WORDS =
  /unsupported|not supported|not support|unknown|unrecogni[sz]ed|unexpected|extra|not permitted|not allowed|cannot find/i

/** Whether a server does not know a field, or does not offer it; not whether it has a wrong value. */
function isUnknown(field: string, { message, param, code }: Refusal): boolean {
  const isNamed = param === field || new RegExp(`\\b${field}\\b`).test(message)
  return isNamed && (UNKNOWN_CODES.has(code) || UNKNOWN_WORDS.test(message))
}

const ADAPTATIONS: readonly Adaptation[] = [
  {
    // OpenAI's reasoning models take only the new name of the limit,
    about: 'limit',
    isAskedFor: (refusal) => isUnknown('max_tokens', refusal),
    change: (body) => rename(body, 'max_tokens', 'max_completion_tokens'),
  },
  {
    // and many other servers only the old one.
    about: 'limit',
    isAskedFor: (refusal) => isUnknown('max_completion_tokens', refusal),
    change: (body) => rename(body, 'max_completion_tokens', 'max_tokens'),
  },
  {
    about: 'stream_options',
    isAskedFor: (refusal) => isUnknown('stream_options', refusal) || isUnknown('include_usage', refusal),
    change: ({ stream_options, ...body }) =>
      // Options of the caller's own stay, for the upstream to refuse.
      isRecord(stream_options) && Object.keys(stream_options).every((name) => name === 'include_usage')
        ? body
        : undefined,
  },
  {
    // Models that do not reason, and other servers of the Responses API.
    about: 'include',
    isAskedFor: (refusal) =>
      isUnknown('include', refusal) || /encrypted.content is not supported/i.test(refusal.message),
    change: ({ include, ...body }) => {
      if (!Array.isArray(include) || !include.includes(ENCRYPTED)) return undefined
      const others = include.filter((each) => each !== ENCRYPTED)
      return others.length > 0 ? { ...body, include: others } : body
    },
  },
  {
    // OpenAI lets only verified organisations stream some models. Then the answer comes in one piece.
    about: 'stream',
    isAskedFor: (refusal) => refusal.param === 'stream' || /must be verified to stream/i.test(refusal.message),
    change: ({ stream, stream_options: _, ...body }) => (stream === true ? { ...body, stream: false } : undefined),
  },
]

function rename(body: Fields, from: string, to: string): Fields | undefined {
  const { [from]: value, [to]: other, ...rest } = body
  return isGiven(value) && !isGiven(other) ? { ...rest, [to]: value } : undefined
}

/** Bounds the memory: callers choose the names of models. */
const MAX_MODELS = 1024
/** Servers change: after this time, in milliseconds, the request is sent as it is again. */
const REMEMBERED_MS = 60 * 60_000

/** The adaptations that worked, by model. */
export class Adaptations {
  readonly #models = new Map<string, { adaptations: readonly Adaptation[]; until: number }>()
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** The body as the model's server is known to take it. */
  adapt(model: string, body: Fields): Fields {
    const known = this.#models.get(model)
    if (!known) return body
    if (known.until < this.#now()) {
      this.#models.delete(model)
      return body
    }
    return known.adaptations.reduce((adapted, each) => each.change(adapted) ?? adapted, body)
  }

  remember(model: string, worked: readonly Adaptation[]): void {
    const before = this.#models.get(model)?.adaptations ?? []
    const others = before.filter(({ about }) => !worked.some((each) => each.about === about))
    this.#models.delete(model)
    this.#models.set(model, { adaptations: [...others, ...worked], until: this.#now() + REMEMBERED_MS })
    const [oldest] = this.#models.keys()
    if (oldest !== undefined && this.#models.size > MAX_MODELS) this.#models.delete(oldest)
  }
}

/**
 * Sends a request, and sends it again as often as its refusal asks for an adaptation that has not been tried. This
 * costs no attempt: nothing was wrong with the target.
 */
export class AdaptedStream implements Pushing, Sink {
  readonly #known: Adaptations
  readonly #model: string
  /** Both are dropped with the first event: the prompt must not live as long as the stream. */
  #send: ((body: Fields) => Pushing) | undefined
  #body: Fields | undefined
  readonly #tried: Adaptation[] = []
  #sink: Sink | undefined
  #stop: (() => void) | undefined

  constructor(model: string, body: Fields, known: Adaptations, send: (body: Fields) => Pushing) {
    this.#model = model
    this.#known = known
    this.#body = known.adapt(model, body)
    this.#send = send
  }

  pushTo(sink: Sink): () => void {
    this.#sink = sink
    this.#start()
    return () => {
      this.#send = undefined
      this.#stop?.()
    }
  }

  push(events: readonly StreamEvent[], at: number): void {
    if (this.#body) {
      if (this.#tried.length > 0) this.#known.remember(this.#model, this.#tried)
      this.#body = undefined
      this.#send = undefined
    }
    this.#sink?.push(events, at)
  }

  alive(at: number, held: number): void {
    this.#sink?.alive?.(at, held)
  }

  end(failure?: { error: unknown }): void {
    if (failure && this.#adapt(failure.error))
      try {
        return this.#start()
      } catch (error) {
        return this.#sink?.end({ error })
      }
    this.#sink?.end(failure)
  }

  #start(): void {
    if (this.#send && this.#body) this.#stop = this.#send(this.#body).pushTo(this)
  }

  /** Whether the request can be sent in another way after this failure. */
  #adapt(error: unknown): boolean {
    const body = this.#body
    if (!body || !this.#send || !(error instanceof ProviderError) || error.code !== 'upstream_rejected') return false
    const { param, code } = error.carried?.openai?.error ?? {}
    const refusal = { message: error.message, param, code }
    for (const adaptation of ADAPTATIONS) {
      const adapted = adaptation.isAskedFor(refusal) ? adaptation.change(body) : undefined
      if (!adapted || this.#tried.some(({ about }) => about === adaptation.about)) continue
      this.#tried.push(adaptation)
      this.#body = adapted
      return true
    }
    return false
  }
}
