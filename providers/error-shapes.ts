// Where errors are found in what upstreams send, and where their words, codes and types are.

import { isRecord, type Fields } from '../src/json.ts'

/** Fields that hold an error, in a body or within another error. */
const HOLDERS = ['error', 'Error', 'errors', 'fault', 'detail', 'message', 'base_resp', 'ResponseMetadata', 'x_groq']

/** Fields with the words of an error, best first. */
const WORDS = [
  'message',
  'Message',
  'msg',
  'error_message',
  'errorMessage',
  'error_msg',
  'status_msg',
  'faultstring',
  'error_description',
  'detail',
]
/** Words that are about an error only beside a sign of one. */
const WEAK_WORDS = ['reason', 'title', 'text']
const ANY_WORDS = [...WORDS, ...WEAK_WORDS]

const CODES = ['code', 'Code', 'error_code', 'errorCode', 'errcode', 'status_code']
const TYPES = ['type', 'Type', 'error_type', 'errorType', '__type']

/** Codes that say that all is well. */
const FINE = new Set<unknown>([0, 200, '', '0', '200', 'ok', 'success', 'Success', 'SUCCESS'])

const MAX_DEPTH = 4
/** Faults of one error that are quoted. */
const MAX_FAULTS = 20

/**
 * The error in a body or in a message of a stream; undefined when it contains none. An object is kept as it came, with
 * what it lacks: `message`, and `code`, `type` and the status from beside it.
 *
 * @param failed whether the body is known to be that of an error
 */
export function findError(body: unknown, failed = false): Fields | undefined {
  return find(body, failed, 0)
}

function find(body: unknown, failed: boolean, depth: number): Fields | undefined {
  if (depth > MAX_DEPTH) return undefined
  if (Array.isArray(body)) return find(body[0], failed, depth + 1)
  if (!isRecord(body)) return undefined
  if (isAnswer(body)) return findBesideAnswer(body, depth)
  const held = findHeld(body, depth)
  if (held) return held
  const code = given(body, CODES)
  if (code !== undefined && FINE.has(code) && !failed) return body.error ? {} : undefined
  const isSure = failed || code !== undefined || statusOfError(body) !== undefined || body.success === false
  const message = toWords(body.errors, 0) ?? wordsIn(body, isSure ? ANY_WORDS : WORDS)
  if (message !== undefined) return { ...statusOf(body), message, ...namesOf(body) }
  const exception = findException(body)
  if (exception) return exception
  return body.error ? { ...statusOf(body), ...namesOf(body) } : undefined
}

/** Chunks and Messages that say something, which may have any field beside it. */
function isAnswer({ choices, content, type }: Fields): boolean {
  return (Array.isArray(choices) && choices.length > 0) || (type === 'message' && Array.isArray(content))
}

function findBesideAnswer({ error, x_groq, choices }: Fields, depth: number): Fields | undefined {
  const beside = error || (isRecord(x_groq) && x_groq.error)
  if (beside) return find({ error: beside }, true, depth + 1)
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined
  const { delta } = isRecord(first) ? first : {}
  return isRecord(delta) && delta.error ? find({ error: delta.error }, true, depth + 1) : undefined
}

/** The error in one of the fields that hold errors. */
function findHeld(body: Fields, depth: number): Fields | undefined {
  for (const name of HOLDERS) {
    const value = body[name]
    const first: unknown = Array.isArray(value) ? value[0] : value
    // Faults with places are the words of one error.
    if (isRecord(first) && !(Array.isArray(value) && 'loc' in first)) {
      const error = toError(first, name, depth)
      if (error) return withBeside(error, body)
    } else if (name === 'error' && typeof first === 'string' && first !== '') {
      return { ...statusOf(body), ...toldAs(first, body) }
    }
  }
  return undefined
}

/** An object in the field with this name is an error if the name says so, or if it looks like one. */
function toError(value: Fields, name: string, depth: number): Fields | undefined {
  const inner = typeof value.message === 'string' ? undefined : find(value, name.toLowerCase() === 'error', depth + 1)
  if (name !== 'error' && name !== 'Error' && name !== 'errors') return inner ?? find(value, false, depth + 1)
  if (inner && (isRecord(value.error) || isRecord(value.Error))) return inner
  const message = wordsIn(value, ANY_WORDS) ?? (name === 'errors' ? faultsIn(value) : undefined)
  return { ...value, ...namesOf(value), ...(message !== undefined && { message }) }
}

/** `error` is a text: the words, or the kind when others are beside it. */
function toldAs(error: string, body: Fields): Fields {
  const { error: _, ...beside } = body
  const message = wordsIn(beside, WORDS)
  const names = namesOf(beside)
  if (message === undefined) return { message: error, ...names }
  return { message, type: error, ...names }
}

function withBeside(error: Fields, { error: _, ...beside }: Fields): Fields {
  const { code, type, ...rest }: Fields = { ...statusOf(beside), ...namesOf(beside) }
  const hasStatus = STATUS_FIELDS.some((name) => statusIn(error[name]) !== undefined)
  const { status_code, ...others } = rest
  return {
    ...error,
    ...(error.code === undefined && code !== undefined && statusIn(code) === undefined && { code }),
    ...(error.type === undefined && type !== undefined && { type }),
    ...(error.param === undefined && others),
    ...(!hasStatus && status_code !== undefined && { status_code }),
  }
}

/** Bedrock: `{"throttlingException": {"message": …}}`. */
function findException(body: Fields): Fields | undefined {
  for (const [type, value] of Object.entries(body))
    if (/(exception|error)$/i.test(type) && isRecord(value)) {
      const message = wordsIn(value, WORDS)
      if (message !== undefined) return { ...value, message, type }
    }
  return undefined
}

/** `code`, `type` and `param`, whatever their names. */
function namesOf(fields: Fields): Fields {
  const code = given(fields, CODES)
  const type = given(fields, TYPES)
  const { param } = fields
  return {
    ...(type !== undefined && type !== 'error' && { type }),
    ...(code !== undefined && !FINE.has(code) && { code }),
    ...(param !== undefined && { param }),
  }
}

function given(fields: Fields, names: readonly string[]): unknown {
  const name = names.find((each) => typeof fields[each] === 'string' || typeof fields[each] === 'number')
  return name === undefined ? undefined : fields[name]
}

function wordsIn(fields: Fields, names: readonly string[], depth = 0): string | undefined {
  for (const name of names) {
    const words = toWords(fields[name], depth)
    if (words !== undefined) return words
  }
  return undefined
}

/** A text, or faults, each (FastAPI) with its place. */
function toWords(value: unknown, depth: number): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  if (depth > MAX_DEPTH) return undefined
  if (Array.isArray(value)) {
    const words = value.slice(0, MAX_FAULTS).flatMap((each) => toWords(each, depth + 1) ?? [])
    return words.length > 0 ? words.join('; ') : undefined
  }
  if (!isRecord(value)) return undefined
  const words = wordsIn(value, ANY_WORDS, depth + 1)
  if (words === undefined || !Array.isArray(value.loc)) return words
  return `${value.loc.filter((part) => typeof part === 'string' || typeof part === 'number').join('.')}: ${words}`
}

/** `{"errors": {"messages": ["is required"]}}` */
function faultsIn(fields: Fields): string | undefined {
  const faults = Object.entries(fields)
    .slice(0, MAX_FAULTS)
    .flatMap(([name, value]) => {
      const words = toWords(value, 1)
      return words === undefined ? [] : [`${name}: ${words}`]
    })
  return faults.length > 0 ? faults.join('; ') : undefined
}

const STATUS_FIELDS = ['status_code', 'code', 'status', 'http_status'] as const

/** The status in an error. */
export function statusOfError(error: Fields): number | undefined {
  return STATUS_FIELDS.map((name) => statusIn(error[name])).find((status) => status !== undefined)
}

function statusOf(fields: Fields): { status_code?: number } {
  const status = statusOfError(fields)
  return status === undefined ? {} : { status_code: status }
}

function statusIn(value: unknown): number | undefined {
  const status = typeof value === 'string' ? Number(value) : value
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status < 600 ? status : undefined
}
