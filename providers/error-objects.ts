import type { ErrorCode } from '../src/errors.ts'
import { isRecord, type Fields } from '../src/json.ts'
import type { Usage } from '../src/stream/events.ts'
import type { Carried } from '../src/wires/carried.ts'
import { ProviderError } from './provider.ts'

/** The wires whose clients get the upstream's error object as it came. */
export type Wire = 'openai' | 'anthropic'

/** An error is appended even to a full log, so what is carried of it is bounded. In characters of JSON. */
const MAX_ERROR_CHARACTERS = 16 * 1024

/**
 * The error object in a body or in a message of a stream; undefined when it contains none. Forms in use: `{error: {…}}`,
 * `{error: "…"}`, `[{error}]`, `{errors: […]}`, `{detail}` as a text or a list of faults, `{message}`,
 * `{error_message, error_type}`.
 */
export function findError(body: unknown): Fields | undefined {
  if (Array.isArray(body)) return findError(body[0])
  if (!isRecord(body)) return undefined
  const { error, errors, detail, error_message, message, msg, error_type, error_code } = body
  if (isRecord(error)) return withStatus(error, body)
  if (typeof error === 'string' && error !== '')
    return { ...kindOf(body), message: textOf(message) ?? error, ...(textOf(message) !== undefined && { type: error }) }
  if (error !== undefined && error !== null && error !== false && error !== '') return {}
  if (Array.isArray(errors) && errors.length > 0)
    return isRecord(errors[0]) ? errors[0] : { message: textOf(errors[0]) }
  const said = textOf(error_message) ?? textOf(message) ?? textOf(msg) ?? textOfDetail(detail)
  if (said === undefined) return undefined
  const type = body.type ?? error_type
  const code = body.code ?? error_code
  return { ...kindOf(body), message: said, ...(type !== undefined && { type }), ...(code !== undefined && { code }) }
}

/** FastAPI answers with a list of faults, each with its place. */
function textOfDetail(detail: unknown): string | undefined {
  if (Array.isArray(detail)) {
    const faults = detail.flatMap((fault) => {
      const { loc, msg } = isRecord(fault) ? fault : {}
      if (typeof msg !== 'string') return []
      return [Array.isArray(loc) ? `${loc.join('.')}: ${msg}` : msg]
    })
    return faults.length > 0 ? faults.join('; ') : undefined
  }
  return isRecord(detail) ? textOf(detail.message ?? detail.msg) : textOf(detail)
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

const STATUS_FIELDS = ['status_code', 'code', 'status', 'http_status'] as const

/** Some servers put the status beside the error object. */
function withStatus(error: Fields, beside: Fields): Fields {
  return STATUS_FIELDS.some((name) => statusIn(error[name]) !== undefined) ? error : { ...error, ...kindOf(beside) }
}

function kindOf(body: Fields): Fields {
  for (const name of STATUS_FIELDS) if (statusIn(body[name]) !== undefined) return { status_code: Number(body[name]) }
  return {}
}

function statusIn(value: unknown): number | undefined {
  const status = typeof value === 'string' ? Number(value) : value
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status < 600 ? status : undefined
}

export interface UpstreamFailure {
  /** The error object as it came. */
  error: Fields
  wire: Wire
  /** The HTTP status, when the response itself is the error. */
  status?: number
  /** Seconds. */
  retryAfter?: number | undefined
  /** What came before or beside the error. */
  usage?: Usage | undefined
  finishReason?: string | undefined
}

/**
 * Converts an upstream's error. A client of the same wire gets its `type`, `code`, `param` and details; text about the
 * gateway's key concerns only the operator, and may quote part of it, so it is dropped.
 */
export function upstreamFailure({
  error,
  wire,
  status,
  retryAfter,
  usage,
  finishReason,
}: UpstreamFailure): ProviderError {
  const told = status ?? STATUS_FIELDS.map((name) => statusIn(error[name])).find((found) => found !== undefined)
  const code = told === undefined ? codeForNames(error) : codeForStatus(told)
  const about = [error.code, error.type, error.status].map(normalised)
  // An unpaid bill: waiting does not help.
  const hopeless = about.includes('insufficientquota')
  const isSecret = code === 'upstream_auth' || about.some((name) => CODES.get(name) === 'upstream_auth')
  const fields = isSecret ? withoutText(error) : error
  const message =
    textOf(fields.message) ??
    textOf(fields.msg) ??
    (status === undefined ? 'The upstream failed.' : `The upstream answered ${status}.`)
  const carried: Carried[Wire] = {
    error: bounded({ ...fields, message }),
    ...(finishReason !== undefined && { choice: { finish_reason: finishReason } }),
  }
  return new ProviderError({
    code,
    message,
    carried: { [wire]: carried },
    ...(status !== undefined && { upstreamStatus: status }),
    ...(usage && { usage }),
    ...(hopeless ? { retryable: false } : retryAfter !== undefined && { retryAfter }),
  })
}

/** Names are kept; texts may quote a key. */
function withoutText({ type, code, param }: Fields): Fields {
  return {
    ...(type !== undefined && { type }),
    ...(code !== undefined && { code }),
    ...(param !== undefined && { param }),
  }
}

function bounded(error: Fields): Fields {
  if (JSON.stringify(error).length <= MAX_ERROR_CHARACTERS) return error
  const { message, type, code, param } = error
  const short = Object.entries({ type, code, param }).filter(
    ([, value]) => typeof value === 'string' && value.length <= 256,
  )
  return { message: String(message).slice(0, 4096), ...Object.fromEntries(short) }
}

export function codeForStatus(status: number): ErrorCode {
  // 402, an unpaid bill, concerns the key: another one may be paid for.
  if (status === 401 || status === 402 || status === 403) return 'upstream_auth'
  // 410: the model is no longer offered.
  if (status === 404 || status === 410) return 'upstream_not_found'
  if (status === 408 || status === 504) return 'upstream_timeout'
  if (status === 429) return 'upstream_rate_limited'
  if (status >= 500) return 'upstream_unavailable'
  return 'upstream_rejected'
}

/** Codes and types of errors, without separators and in lower case, for errors in a stream that have no status. */
const NAMES: readonly [ErrorCode, string][] = [
  [
    'upstream_auth',
    'invalidapikey incorrectapikey authenticationerror authenticationfailed unauthenticated unauthorized permissionerror permissiondenied permissiondeniederror forbidden accessdenied billingerror insufficientbalance',
  ],
  [
    'upstream_rejected',
    'invalidrequest invalidrequesterror badrequest badrequesterror invalidargument validationerror unprocessableentityerror requesttoolarge contextlengthexceeded contextwindowexceeded contentpolicyviolation contentfilter toolusefailed jsonvalidatefailed unsupportedparameter unsupportedvalue unsupportedcountryregionterritory',
  ],
  ['upstream_not_found', 'notfound notfounderror modelnotfound'],
  [
    'upstream_rate_limited',
    'ratelimit ratelimiterror ratelimitexceeded toomanyrequests toomanyrequestserror resourceexhausted insufficientquota quotaexceeded throttlingexception',
  ],
  ['upstream_timeout', 'timeout timeouterror deadlineexceeded gatewaytimeout'],
  [
    'upstream_unavailable',
    'overloaded overloadederror engineoverloaded engineoverloadederror modeloverloaded unavailable serviceunavailable serviceunavailableerror',
  ],
]
const CODES: ReadonlyMap<string, ErrorCode> = new Map(
  NAMES.flatMap(([code, names]) => names.split(' ').map((name): [string, ErrorCode] => [name, code])),
)

function codeForNames({ code, type, status }: Fields): ErrorCode {
  for (const name of [code, type, status]) {
    const known = CODES.get(normalised(name))
    if (known) return known
  }
  return 'upstream_error'
}

function normalised(name: unknown): string {
  return typeof name === 'string' ? name.replace(/[^a-z]/gi, '').toLowerCase() : ''
}
