import { isRecord, JSON_LIMITS, recordOrEmpty, type Fields } from '../../../src/json.ts'
import type { FinishReason } from '../../../src/stream/events.ts'
import { findError, upstreamFailure } from '../../error-objects.ts'
import { ProviderError, type Delta, type Done, type StreamEvent, type Usage } from '../../provider.ts'
import { isModel, parseRecord, parseValue, requireRecord } from '../../received-fields.ts'
import type { MessageParser } from '../../stream-format.ts'
import { ItemReader } from './items.ts'
import { readUsage } from './usage.ts'

/** What our response says itself, or what says nothing to its client. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  'id',
  'object',
  'created_at',
  'completed_at',
  'status',
  'model',
  'output',
  'output_text',
  'usage',
  'error',
  'incomplete_details',
  'previous_response_id',
  'instructions',
  'metadata',
  'input',
  'store',
  'background',
])

/** Each reader gets them three times. In characters of JSON. */
const MAX_FIELDS = 16 * 1024

/** As much as a request may have, and an answer of the same size. */
const WHOLE_LIMITS = { ...JSON_LIMITS, size: 2 * JSON_LIMITS.size }

/** https://platform.openai.com/docs/api-reference/responses-streaming */
export class ResponseReader implements MessageParser {
  readonly wire = 'openai'
  readonly #items = new ItemReader()
  #begun = false
  #model: string | undefined
  #usage: Usage | undefined
  #finishReason: FinishReason | undefined
  #serviceTier: string | undefined

  get finished(): boolean {
    return this.#finishReason !== undefined
  }

  /** @throws ProviderError `upstream_invalid_response`, or the error that the upstream sent in its stream */
  read(data: string, name?: string): readonly StreamEvent[] {
    const trimmed = data.trim()
    if (trimmed === '' || trimmed.startsWith('[DONE]')) return []
    if (name === 'error') throw this.#failure(findError(parseValue(data)) ?? { message: trimmed })
    const event = parseRecord(data, isWholeResponse(data) ? WHOLE_LIMITS : undefined)
    switch (event.type) {
      case 'error':
        throw this.#failure(toErrorFields(event))
      case 'response.created':
      case 'response.queued':
      case 'response.in_progress':
        return this.#begin(recordOrEmpty(event.response))
      case 'response.completed':
      case 'response.incomplete':
      case 'response.failed':
      case 'response.cancelled':
        return this.#finish(requireRecord(event.response), event.type.slice('response.'.length))
      default: {
        const error = typeof event.type === 'string' ? undefined : findError(event)
        if (error) throw this.#failure(error)
        return this.#items.read(event)
      }
    }
  }

  readWhole(body: Fields): readonly StreamEvent[] | undefined {
    if (!Array.isArray(body.output) || typeof body.status !== 'string') return undefined
    return [...this.#begin(body), ...this.#finish(body, body.status)]
  }

  end(): readonly StreamEvent[] {
    if (this.#finishReason === undefined)
      throw new ProviderError({
        code: 'upstream_truncated',
        message: 'The upstream ended in mid-stream.',
        ...(this.#usage && { usage: this.#usage }),
      })
    const done: Done = {
      type: 'done',
      finish_reason: this.#finishReason,
      ...(this.#usage && { usage: this.#usage }),
      ...(this.#model !== undefined && { model: this.#model }),
      ...(this.#serviceTier !== undefined && {
        carried: {
          openai: { chunk: { service_tier: this.#serviceTier }, response: { service_tier: this.#serviceTier } },
        },
      }),
    }
    return [done]
  }

  #begin(response: Fields): Delta[] {
    if (this.#begun) return []
    this.#begun = true
    if (isModel(response.model)) this.#model = response.model
    const fields = bounded(Object.entries(response).filter(([name]) => !OWN_FIELDS.has(name)))
    return [
      {
        type: 'delta',
        role: 'assistant',
        carried: {
          openai: { ...(this.#model !== undefined && { chunk: { model: this.#model } }), response: fields },
        },
      },
    ]
  }

  #finish(response: Fields, status: string): Delta[] {
    if (isModel(response.model)) this.#model = response.model
    this.#usage = readUsage(response.usage) ?? this.#usage
    const { service_tier: tier } = response
    if (typeof tier === 'string' && tier.length <= 64) this.#serviceTier = tier
    if (status !== 'completed' && status !== 'incomplete')
      throw this.#failure(isRecord(response.error) ? response.error : { message: `The response is ${status}.` })
    const deltas = this.#items.endAll(Array.isArray(response.output) ? response.output : [])
    this.#finishReason = this.#reasonOf(status, response)
    return deltas
  }

  #reasonOf(status: string, { incomplete_details: details }: Fields): FinishReason {
    if (status === 'incomplete') return recordOrEmpty(details).reason === 'content_filter' ? 'content_filter' : 'length'
    return this.#items.hasCalls ? 'tool_calls' : 'stop'
  }

  #failure(error: Fields): ProviderError {
    return upstreamFailure({ error, wire: 'openai', usage: this.#usage })
  }
}

/** Events that repeat the tools of the request, or all of the output. */
function isWholeResponse(data: string): boolean {
  return /"response\.(created|queued|in_progress|completed|incomplete|failed)"/.test(data.slice(0, 200))
}

function toErrorFields({ error, code, message, param }: Fields): Fields {
  return isRecord(error) ? error : { code: code ?? null, message, param: param ?? null }
}

/** The small ones first. */
function bounded(fields: readonly [string, unknown][]): Fields {
  let left = MAX_FIELDS
  const sized = fields.map((field) => ({ field, size: JSON.stringify(field).length }))
  const kept = sized.toSorted((a, b) => a.size - b.size).filter(({ size }) => (left -= size) >= 0)
  return Object.fromEntries(kept.map(({ field }) => field))
}
