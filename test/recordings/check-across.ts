import { isRecord, type Fields } from '../../src/json.ts'
import { ofAnthropic, ofCompletion, ofMessage, ofOpenAI, ofSnapshot, type CommonAnswer } from './answer.ts'
import { failureOf, mustFail, PATHS, type DirectReadings, type RawAnswer } from './check-own-wire.ts'
import { compare, type Difference } from './differences.ts'
import { outcomeOf, type Outcome } from './outcome.ts'
import { accumulateEvents } from './read-anthropic.ts'
import { post, readFrames, requestBody, type Frame } from './read-frames.ts'
import { accumulateChunks } from './read-openai.ts'
import { readWithSdk } from './read-sdk.ts'
import type { Wire } from './recording.ts'

/** What was read in another protocol, and the names in it that belong to the provider's wire. */
interface Translated {
  answer: CommonAnswer
  failed: boolean
  internals: string[]
}

/** Reads the recording in every protocol that is not its own, as a stream and whole. */
export async function checkAcross(
  wire: Wire,
  origin: string,
  model: string,
  direct: DirectReadings,
): Promise<Difference[]> {
  if (!direct.raw.value) return []
  const failure = failureOf(direct)
  const expected = commonAnswer(direct.raw.value)
  const other = wire === 'openai' ? 'anthropic' : 'openai'
  const name = other === 'openai' ? 'chat' : 'messages'
  const readings: Record<string, Outcome<Translated>> = {
    'native stream': await outcomeOf((signal) => streamNative(origin, model, signal)),
    'native whole': await outcomeOf((signal) => wholeNative(origin, model, signal)),
    [`${name} stream`]: await outcomeOf((signal) => streamOther(other, origin, model, signal)),
    [`${name} sdk`]: await outcomeOf((signal) => readOtherWithSdk(other, origin, model, signal)),
    [`${name} whole`]: await outcomeOf((signal) => wholeOther(other, origin, model, signal)),
  }
  return Object.entries(readings).flatMap(([check, { value, error }]) => {
    if (failure !== undefined) return mustFail(check, failure, error ?? (value?.failed ? 'failed' : undefined))
    if (!value) return [{ check, path: 'error', direct: undefined, through: error }]
    return [
      ...compareAnswers(check, expected, value),
      ...value.internals.map((path) => ({ check, path: `internals.${path}`, direct: undefined, through: path })),
    ]
  })
}

function commonAnswer({ openai, anthropic }: RawAnswer): CommonAnswer {
  return JSON.parse(JSON.stringify(openai ? ofOpenAI(openai) : ofAnthropic(anthropic)))
}

function compareAnswers(check: string, expected: CommonAnswer, { answer, failed }: Translated): Difference[] {
  if (failed) return [{ check, path: 'error', direct: undefined, through: 'a failure' }]
  const { usage, ...rest } = answer
  const { usage: counts, ...fields } = check.startsWith('messages') ? withRefusalAsText(expected) : expected
  // A provider may not count; what Sluice says then is its own estimate.
  return [...compare(check, fields, rest), ...(counts ? compare(check, counts, usage, 'usage') : [])]
}

/** The Messages API has no refusal beside its text. */
function withRefusalAsText({ text, refusal, ...answer }: CommonAnswer): CommonAnswer {
  return { ...answer, text: text + refusal, refusal: '' }
}

async function streamNative(origin: string, model: string, signal: AbortSignal): Promise<Translated> {
  const body = requestBody('native', model, true)
  const frames = await readFrames(await post(`${origin}/v1/chat`, body, signal, 'text/event-stream'))
  const deltas = frames.filter(({ event, data }) => event === 'delta' && (data.index ?? 0) === 0)
  const done = frames.find(({ event }) => event === 'done')?.data
  if (!done) throw new Error('the stream ends without done')
  // The fields of a native delta are those of Chat Completions, except for `reasoning`.
  const chunks = deltas.map(({ data: { carried: _, index, ...delta } }) => ({ choices: [{ index, delta }] }))
  const answer = ofOpenAI(accumulateChunks(chunks))
  const { finish_reason: finish, usage } = done
  const counts = isRecord(usage) ? { prompt: usage.prompt_tokens, completion: usage.completion_tokens } : undefined
  return { answer: { ...answer, finish, usage: counts }, failed: finish === 'error', internals: [] }
}

async function wholeNative(origin: string, model: string, signal: AbortSignal): Promise<Translated> {
  const response = await post(`${origin}/v1/chat`, requestBody('native', model, false), signal, 'application/json')
  const snapshot = (await response.json()) as Fields
  return { answer: ofSnapshot(snapshot), failed: snapshot.finish_reason === 'error', internals: [] }
}

async function streamOther(wire: Wire, origin: string, model: string, signal: AbortSignal): Promise<Translated> {
  const frames = await readFrames(await post(`${origin}${PATHS[wire]}`, requestBody(wire, model, true), signal))
  const data = frames.map((frame: Frame) => frame.data)
  const internals = internalsIn(wire, data)
  if (wire === 'openai') {
    const answer = accumulateChunks(data)
    return { answer: ofOpenAI(answer), failed: answer.error !== undefined, internals }
  }
  const answer = accumulateEvents(data)
  return { answer: ofAnthropic(answer), failed: answer.error !== undefined || !answer.stopped, internals }
}

/** The official SDK of the other wire must not throw either. */
async function readOtherWithSdk(wire: Wire, origin: string, model: string, signal: AbortSignal): Promise<Translated> {
  const read = (await readWithSdk(wire, origin, model, signal)) as Fields
  const body = JSON.parse(JSON.stringify(read)) as Fields
  return { answer: wire === 'openai' ? ofCompletion(body) : ofMessage(body), failed: false, internals: [] }
}

async function wholeOther(wire: Wire, origin: string, model: string, signal: AbortSignal): Promise<Translated> {
  const response = await post(`${origin}${PATHS[wire]}`, requestBody(wire, model, false), signal)
  const body = (await response.json()) as Fields
  const answer = wire === 'openai' ? ofCompletion(body) : ofMessage(body)
  return { answer, failed: false, internals: internalsIn(wire, body) }
}

/** Names that only the other wire has. */
const FOREIGN: Record<Wire, ReadonlySet<string>> = {
  openai: new Set([
    'message_start',
    'message_delta',
    'content_block',
    'content_block_delta',
    'signature',
    'redacted_thinking',
    'partial_json',
    'stop_reason',
    'anthropic',
  ]),
  anthropic: new Set(['choices', 'finish_reason', 'tool_calls', 'system_fingerprint', 'reasoning_content', 'openai']),
}

/** Foreign names at any level, less what a tool is given, and signatures in the form that Chat Completions has for them. */
function internalsIn(wire: Wire, value: unknown): string[] {
  const found = new Set<string>()
  const visit = (each: unknown): void => {
    if (Array.isArray(each)) each.forEach(visit)
    if (!isRecord(each)) return
    for (const [name, field] of Object.entries(each)) {
      if (FOREIGN[wire].has(name)) found.add(name)
      if (name !== 'input' && name !== 'reasoning_details') visit(field)
    }
  }
  visit(value)
  return [...found]
}
