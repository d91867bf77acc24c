// The limit on the tokens of one request's answers.

import { ORIGINAL, type ChatInput } from '../chat-request.ts'
import { invalidField, type SluiceError } from '../errors.ts'
import { isRecord } from '../json.ts'

/** Names under which clients send the most tokens of an answer. All protocols parse them to the first two. */
const NAMES = ['max_completion_tokens', 'max_tokens', 'max_output_tokens', 'maxOutputTokens']

/** Names that some servers prefer to those. */
const OTHER_NAMES = ['n_predict', 'num_predict', 'max_new_tokens']

/** Most tokens of all answers to this request, if it says so. */
export function askedTokens({ max_completion_tokens, max_tokens, n }: ChatInput): number | undefined {
  const each = max_completion_tokens ?? max_tokens
  return typeof each === 'number' ? each * (n ?? 1) : undefined
}

/**
 * The request with the limit written into it, if it has none; refused when it asks for more.
 *
 * @param body as the client sent it, for the names of its fields
 */
export function limitAnswer(
  input: ChatInput,
  limit: number,
  body: unknown,
): { input: ChatInput } | { refusal: SluiceError } {
  const answers = input.n ?? 1
  const each = Math.floor(limit / answers)
  const asked = [input.max_completion_tokens, input.max_tokens].filter((value) => typeof value === 'number')
  for (const value of asked) if (value > each) return { refusal: tooMany(nameOf(value, body), limit, answers) }
  const other = OTHER_NAMES.find((name) => isRecord(body) && toNumber(body[name]) > each)
  if (other !== undefined) return { refusal: tooMany(other, limit, answers) }
  if (each === 0) return { refusal: tooMany('n', limit, answers) }
  if (asked.length > 0) return { input }
  const original = input[ORIGINAL]
  return {
    input: {
      ...input,
      max_tokens: each,
      ...(original && { [ORIGINAL]: { ...original, body: { ...original.body, max_output_tokens: each } } }),
    },
  }
}

/**
 * For a request that is passed on. The limit is written into one whose answer is a text; what the fields of others mean
 * is not known for sure.
 */
export function limitForwarded(
  body: unknown,
  limit: number,
  isText: boolean,
): { body: unknown } | { refusal: SluiceError } {
  if (!isRecord(body)) return { body }
  const answers = Math.max(1, toNumber(body.n), toNumber(body.best_of)) * promptsIn(body.prompt)
  const names = [...NAMES, ...OTHER_NAMES]
  const name = names.find((each) => toNumber(body[each]) * answers > limit)
  if (name !== undefined) return { refusal: tooMany(name, limit, answers) }
  if (!isText || names.some((each) => body[each] !== undefined && body[each] !== null)) return { body }
  const max_tokens = Math.floor(limit / answers)
  return max_tokens === 0 ? { refusal: tooMany('n', limit, answers) } : { body: { ...body, max_tokens } }
}

/** Some servers read numbers from texts, and take negative ones for no limit. */
function toNumber(value: unknown): number {
  const number = typeof value === 'number' || typeof value === 'string' ? Number(value) : 0
  if (Number.isNaN(number)) return 0
  return number < 0 ? Infinity : number
}

/** Each is answered. A list of numbers is one prompt, as tokens. */
function promptsIn(prompt: unknown): number {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? Math.max(1, prompt.length) : 1
}

function nameOf(value: number, body: unknown): string {
  return NAMES.find((name) => isRecord(body) && body[name] === value) ?? 'max_tokens'
}

function tooMany(name: string, limit: number, answers: number): SluiceError {
  const of = answers === 1 ? '' : ` in all ${answers} answers together`
  return invalidField('invalid_request', name, `must be at most ${limit}${of} for this caller`)
}
