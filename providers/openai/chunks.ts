import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { isRecord, setField, type Fields } from '../../src/json.ts'
import { findError, upstreamFailure } from '../error-objects.ts'
import { ProviderError, type Delta, type Done, type Usage } from '../provider.ts'
import { boundUsage, isGiven, isModel, parseRecord, parseValue, requireRecord } from '../received-fields.ts'
import type { OpenAICarried } from '../../src/wires/openai.ts'
import { brokenOff } from '../upstream-errors.ts'
import { ChoiceReader, FieldNames, otherFields, readIndex } from './choices.ts'
import { ChunkTemplate } from './chunk-template.ts'

/** Chunk fields that are not carried: they are modelled, or padding (`obfuscation`, Mistral's `p`). */
const CHUNK_FIELDS = new Set(['choices', 'usage', 'error', 'obfuscation', 'p'])
/** Carried when first given, and again with `done` if they have changed: carrying every change would prevent merging. */
const FIXED_FIELDS = new Set(['id', 'created', 'model'])
/** Some servers send null for a count that they do not know, or a text. */
const tokenCount = z
  .union([z.number().nonnegative(), z.stringFormat('count', /^\d{1,15}$/).transform(Number)])
  .nullish()
  .transform((count) => count ?? undefined)

const usageSchema = z.looseObject({
  prompt_tokens: tokenCount,
  completion_tokens: tokenCount,
  total_tokens: tokenCount,
})

/**
 * Reads the `data` of one Chat Completions stream into deltas and a final `done`. Lenient about fields that servers
 * omit or add; strict about data loss: nothing is dropped silently.
 */
export class ChunkReader {
  readonly wire = 'openai'
  #usage: Usage | undefined
  #model: string | undefined
  #done = false
  readonly #template = new ChunkTemplate()
  readonly #names = new FieldNames()
  readonly #choices = new ChoiceReader(this.#names)
  /** Fields that repeat on every chunk, with the last value carried: only changes are carried. */
  readonly #told = new Map<string, unknown>([['object', 'chat.completion.chunk']])
  /** The last values of `FIXED_FIELDS`. */
  readonly #latest = new Map<string, unknown>()

  /** `[DONE]` was read. */
  get finished(): boolean {
    return this.#done
  }

  /** @throws ProviderError `upstream_invalid_response`, or the error that the upstream sent in its stream. */
  read(data: string, event?: string): Delta[] {
    const text = this.#template.match(data)
    if (text !== undefined) return text === '' ? [] : [{ type: 'delta', content: text }]
    const trimmed = data.trim()
    if (trimmed.startsWith('[DONE]')) {
      this.#done = true
      return []
    }
    // Some servers send an empty `data:` as a heartbeat.
    if (trimmed === '') return []
    if (event === 'error') throw this.#failure(findError(parseValue(data)) ?? { message: trimmed })
    const chunk = parseRecord(data)
    const deltas = this.readChunk(chunk)
    const [only] = deltas
    if (
      deltas.length === 1 &&
      only &&
      isNothingButContent(only) &&
      !isGiven(chunk.usage) &&
      !this.#choices.finishReason
    )
      this.#template.learn(data, only.content)
    return deltas
  }

  /** Reads a chunk, or a whole completion, whose choices have a `message` in place of a `delta`. */
  readChunk(chunk: Fields): Delta[] {
    const { choices } = chunk
    const error = findError(chunk)
    // Errors may come beside the last usage and the finish reason.
    this.#readUsage(chunk.usage)
    // Groq sends it here, unless asked for the standard field.
    if (isRecord(chunk.x_groq)) this.#readUsage(chunk.x_groq.usage)
    if (error) {
      if (Array.isArray(choices)) this.#readEnds(choices)
      throw this.#failure(error)
    }
    if (isModel(chunk.model) && chunk.model !== this.#model) {
      this.#model = chunk.model
      this.#template.forget()
    }
    const deltas: Delta[] = []
    if (Array.isArray(choices)) for (const choice of choices) this.#readChoice(requireRecord(choice), deltas)
    const changed = this.#changed(chunk)
    if (changed) {
      const first = deltas[0]
      if (first) first.carried = { openai: { chunk: changed, ...first.carried?.openai } }
      else deltas.push({ type: 'delta', carried: { openai: { chunk: changed } } })
      this.#template.forget()
    }
    return deltas
  }

  readWhole({ object: _, ...body }: Fields): Delta[] | undefined {
    return Array.isArray(body.choices) ? this.readChunk(body) : undefined
  }

  #readChoice(choice: Fields, deltas: Delta[]): void {
    const delta = this.#choices.read(choice)
    if (delta) deltas.push(delta)
    // Moonshot sends the usage here.
    this.#readUsage(choice.usage)
    const failed = choice.error ? choice : isRecord(choice.delta) && choice.delta.error ? choice.delta : undefined
    if (failed) throw this.#failure(findError(failed) ?? {})
  }

  /**
   * Returns the last events, with `done`. Call it after the upstream's last message.
   * @throws ProviderError `upstream_truncated` when the upstream did not report how its answer ended (`[DONE]` alone
   * does not say it: SDKs raise), `upstream_error` when it reported a failure
   */
  end(): [...Delta[], Done] {
    const { finishReason: finish_reason } = this.#choices
    const usage = this.#boundUsage()
    if (!finish_reason) {
      const message = this.#done
        ? 'The upstream did not say how its answer ended.'
        : 'The upstream ended in mid-stream.'
      throw new ProviderError({ code: 'upstream_truncated', message, ...usage })
    }
    if (finish_reason === 'error') throw brokenOff(this.#usage)
    const changed = [...this.#latest].filter(([name, value]) => value !== this.#told.get(name))
    const word = this.#choices.finishWord
    const openai: OpenAICarried = {
      ...(changed.length > 0 && { chunk: Object.fromEntries(changed) }),
      ...(word !== finish_reason && { choice: { finish_reason: word } }),
    }
    return [
      ...this.#choices.end(),
      {
        type: 'done',
        finish_reason,
        ...usage,
        ...(this.#model !== undefined && { model: this.#model }),
        ...(Object.keys(openai).length > 0 && { carried: { openai } }),
      },
    ]
  }

  #readUsage(value: unknown): void {
    if (isGiven(value)) this.#usage = readUsage(value, this.#usage) ?? this.#usage
  }

  #readEnds(choices: unknown[]): void {
    for (const choice of choices) {
      if (!isRecord(choice)) continue
      this.#readUsage(choice.usage)
      this.#choices.readFinish(choice, readIndex(choice.index))
    }
  }

  #boundUsage(): Pick<Done, 'usage'> {
    return this.#usage ? { usage: boundUsage(this.#usage) } : {}
  }

  #failure(error: Fields): ProviderError {
    return upstreamFailure({ error, wire: 'openai', finishReason: this.#choices.finishWord, ...this.#boundUsage() })
  }

  #changed(chunk: Fields): Record<string, unknown> | undefined {
    const fields = otherFields(chunk, CHUNK_FIELDS)
    if (!fields) return undefined
    let changed: Record<string, unknown> | undefined
    for (const [name, value] of Object.entries(this.#names.check(fields))) {
      const told = this.#told.get(name)
      if (FIXED_FIELDS.has(name)) {
        if (isShort(value)) this.#latest.set(name, value)
        // Azure sends an empty id, model and time before the first choice.
        if (told || (told !== undefined && !value)) continue
      }
      if (isDeepStrictEqual(told, value)) continue
      this.#told.set(name, value)
      changed ??= {}
      setField(changed, name, value)
    }
    return changed
  }
}

/** `done` is appended even to a full log. */
function isShort(value: unknown): boolean {
  return typeof value === 'number' || (typeof value === 'string' && value.length <= 256)
}

function isNothingButContent(delta: Delta): delta is Delta & { content: string } {
  return delta.content !== undefined && Object.keys(delta).length === 2
}

/** Counts that come later complete or replace those before. */
function readUsage(value: unknown, before: Usage | undefined): Usage | undefined {
  const { data: usage } = usageSchema.safeParse(value)
  if (!usage) return undefined
  const { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total } = usage
  if (prompt === undefined && completion === undefined) return undefined
  const prompt_tokens = prompt ?? before?.prompt_tokens ?? 0
  const completion_tokens = completion ?? before?.completion_tokens ?? 0
  return Object.assign(usage, {
    prompt_tokens,
    completion_tokens,
    total_tokens: total ?? prompt_tokens + completion_tokens,
  })
}
