import type { Fields } from '../../src/json.ts'
import { compare, type Difference } from './differences.ts'
import { outcomeOf, type Outcome } from './outcome.ts'
import { readWithAiSdk } from './read-ai-sdk.ts'
import { accumulateEvents, type AnthropicAnswer } from './read-anthropic.ts'
import { post, readFrames, requestBody } from './read-frames.ts'
import { accumulateChunks, type OpenAIAnswer } from './read-openai.ts'
import { readWithSdk } from './read-sdk.ts'
import type { Wire } from './recording.ts'

/** Readings of one recording at the provider, without Sluice. */
export interface DirectReadings {
  raw: Outcome<RawAnswer>
  sdk: Outcome<unknown>
  ai: Outcome<unknown>
}

export type RawAnswer =
  | { openai: OpenAIAnswer; anthropic?: undefined }
  | { anthropic: AnthropicAnswer; openai?: undefined }

export const PATHS = { openai: '/v1/chat/completions', anthropic: '/v1/messages' } as const

/** What a reading that should have failed came to. */
export const SUCCESS = 'a success'

export async function readRaw(wire: Wire, origin: string, model: string, signal: AbortSignal): Promise<RawAnswer> {
  const frames = await readFrames(await post(`${origin}${PATHS[wire]}`, requestBody(wire, model, true), signal))
  const data = frames.map((frame) => frame.data)
  return wire === 'openai' ? { openai: accumulateChunks(data) } : { anthropic: accumulateEvents(data) }
}

export async function readDirectly(wire: Wire, origin: string, model: string): Promise<DirectReadings> {
  return {
    raw: await outcomeOf((signal) => readRaw(wire, origin, model, signal)),
    sdk: await outcomeOf((signal) => readWithSdk(wire, origin, model, signal)),
    ai: await outcomeOf((signal) => readWithAiSdk(wire, origin, model, signal)),
  }
}

/** Reads the recording through Sluice on its own wire, with every reader, and compares. */
export async function checkOwnWire(
  wire: Wire,
  origin: string,
  model: string,
  direct: DirectReadings,
): Promise<Difference[]> {
  const raw = await outcomeOf((signal) => readRaw(wire, origin, model, signal))
  const sdk = await outcomeOf((signal) => readWithSdk(wire, origin, model, signal))
  const ai = await outcomeOf((signal) => readWithAiSdk(wire, origin, model, signal))
  const whole = await outcomeOf<Fields>(async (signal) => {
    const response = await post(`${origin}${PATHS[wire]}`, requestBody(wire, model, false), signal)
    return response.json() as Promise<Fields>
  })
  const failure = failureOf(direct)
  // A failed answer has no correct reading; it only must not look like a success.
  if (failure !== undefined) {
    return [
      ...mustFail('raw', failure, raw.error ?? errorIn(raw.value)),
      ...mustFail('sdk', failure, sdk.error),
      ...mustFail('whole', failure, whole.error),
    ]
  }
  return [
    ...compareOutcomes('raw', withoutFirst(direct.raw), withoutFirst(raw)),
    ...missingInFirst(direct.raw.value, raw.value),
    ...compareOutcomes('sdk', direct.sdk, sdk),
    ...compareOutcomes('ai-sdk', direct.ai, ai),
    ...compareWhole(direct, whole),
  ]
}

/**
 * Why the recording is not an answer: the official SDK throws, and the stream indeed lacks its end. On a complete stream
 * the SDK may throw for a reason of its own, which `tolerances.ts` treats.
 */
export function failureOf({ raw, sdk }: DirectReadings): string | undefined {
  if (sdk.error === undefined) return undefined
  return raw.value && isComplete(raw.value) ? undefined : sdk.error
}

function isComplete(answer: RawAnswer): boolean {
  if (errorIn(answer) !== undefined) return false
  if (answer.anthropic) return answer.anthropic.stopped && !answer.anthropic.spliced
  const choices = Object.values(answer.openai.choices)
  return choices.length > 0 && choices.every(({ choice }) => typeof choice.finish_reason === 'string')
}

function errorIn(answer: RawAnswer | undefined): unknown {
  const { error } = answer?.openai ?? answer?.anthropic ?? {}
  return error
}

export function mustFail(check: string, error: string, failure: unknown): Difference[] {
  return failure === undefined ? [{ check, path: 'failure', direct: error, through: SUCCESS }] : []
}

function compareOutcomes(check: string, direct: Outcome<unknown>, through: Outcome<unknown>): Difference[] {
  if (direct.error !== undefined)
    return through.error === undefined ? [{ check, path: 'error', direct: direct.error, through: SUCCESS }] : []
  if (through.error !== undefined) return [{ check, path: 'error', direct: undefined, through: through.error }]
  return compare(check, direct.value, through.value)
}

function withoutFirst({ value, ...outcome }: Outcome<RawAnswer>): Outcome<unknown> {
  if (!value) return { error: outcome.error ?? 'nothing' }
  if (!value.openai) return { value: value.anthropic }
  const { first: _, ...answer } = value.openai
  return { value: answer }
}

/** openai-python keeps the top-level fields of the first chunk, and of later ones only the usage. */
function missingInFirst(direct: RawAnswer | undefined, through: RawAnswer | undefined): Difference[] {
  if (!direct?.openai || !through?.openai) return []
  const { first } = through.openai
  return Object.entries(direct.openai.first)
    .filter(([name]) => name !== 'usage' && !(name in first))
    .map(([path, value]) => ({ check: 'first chunk', path, direct: value, through: undefined }))
}

/** The SDK drops some fields that the wire has, such as pieces of fields that it does not know: there, the raw reading counts. */
function compareWhole({ raw, sdk }: DirectReadings, whole: Outcome<Fields>): Difference[] {
  if (sdk.error !== undefined && raw.value) return compareOutcomes('whole', { value: toWhole(raw.value) }, whole)
  const differences = compareOutcomes('whole', sdk, whole)
  if (whole.error !== undefined || !raw.value) return differences
  const fromRaw = compare('whole', toWhole(raw.value), whole.value)
  const lost = fromRaw.filter(
    ({ path, through }) => through === undefined && !differences.some((each) => each.path === path),
  )
  const counted = differences.filter(({ path }) =>
    fromRaw.some((each) => isWithin(each.path, path) || isWithin(path, each.path)),
  )
  return [...counted, ...lost]
}

function isWithin(path: string, outer: string): boolean {
  return path === outer || path.startsWith(`${outer}.`) || path.startsWith(`${outer}[`)
}

function toWhole({ openai, anthropic }: RawAnswer): Fields {
  if (anthropic) {
    return { ...anthropic.message, ...anthropic.beside, content: Object.values(anthropic.blocks) }
  }
  const choices = Object.entries(openai.choices).map(([index, { message, calls, choice }]) => {
    const tool_calls = Object.values(calls)
    // As in the SDK, an empty text is no content.
    const content = message.content === '' ? null : message.content
    return {
      index: Number(index),
      message: { ...message, content, ...(tool_calls.length > 0 && { tool_calls }) },
      ...choice,
    }
  })
  return { ...openai.chunk, object: 'chat.completion', choices }
}
