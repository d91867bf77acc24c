// Which of our codes an upstream's error has.

import type { ErrorCode } from '../src/errors.ts'
import { isRecord, type Fields } from '../src/json.ts'
import { statusOfError } from './error-shapes.ts'

export interface ErrorKind {
  code: ErrorCode
  /** It is about the gateway's key, which its text may quote: for the operator only. */
  isSecret: boolean
  /** An unpaid bill: waiting does not help. */
  isHopeless: boolean
}

/** @param status the HTTP status, when the response itself is the error */
export function kindOfError(error: Fields, status: number | undefined): ErrorKind {
  const told = status ?? statusOfError(error)
  const names = namesIn(error)
  const named = numbered(error.code) ?? names.map((name) => CODES.get(name)).find((code) => code !== undefined)
  const isHopeless = names.includes('insufficientquota')
  if (told === 403 && isAboutRequest(error, names)) return { code: 'upstream_rejected', isSecret: false, isHopeless }
  const code = told === undefined ? (named ?? 'upstream_error') : codeForStatus(told)
  const isAboutKey =
    named === 'upstream_auth' ||
    names.some((name) => CODES.get(name) === 'upstream_auth') ||
    saysKeyIsBad(error) ||
    isUnpaid(error)
  // Some servers refuse a key with 400 or 500.
  const isOpen = code === 'upstream_error' || code === 'upstream_rejected' || code === 'upstream_unavailable'
  return {
    code: isAboutKey && isOpen ? 'upstream_auth' : code,
    isSecret: isAboutKey || code === 'upstream_auth',
    isHopeless,
  }
}

/** Anthropic says so with the status of a bad request. Another key, or another upstream, may have credit. */
function isUnpaid({ message }: Fields): boolean {
  return typeof message === 'string' && /credit balance is too low/i.test(message)
}

function codeForStatus(status: number): ErrorCode {
  // 402, an unpaid bill, concerns the key: another one may be paid for.
  if (status === 401 || status === 402 || status === 403) return 'upstream_auth'
  // 410: the model is no longer offered.
  if (status === 404 || status === 410) return 'upstream_not_found'
  if (status === 408 || status === 504) return 'upstream_timeout'
  if (status === 429) return 'upstream_rate_limited'
  if (status >= 500) return 'upstream_unavailable'
  return 'upstream_rejected'
}

/** Codes and types of errors, without separators and in lower case. */
const NAMES: readonly [ErrorCode, string][] = [
  [
    'upstream_auth',
    'invalidapikey incorrectapikey apikeyinvalid apikeyexpired apikeynotfound authenticationerror authenticationfailed unauthenticated unauthorized permissionerror permissiondenied permissiondeniederror forbidden accessdenied accessdeniedexception unrecognizedclientexception expiredtokenexception billingerror insufficientbalance arrearage',
  ],
  [
    'upstream_rejected',
    'invalidrequest invalidrequesterror badrequest badrequesterror invalidargument invalidparameter missingparameter validation validationerror validationexception unprocessableentityerror requesttoolarge contextlengthexceeded contextwindowexceeded exceedcontextsizeerror contentpolicyviolation contentfilter toolusefailed jsonvalidatefailed unsupportedparameter unsupportedvalue unsupportedcountryregionterritory datainspectionfailed',
  ],
  ['upstream_not_found', 'notfound notfounderror modelnotfound modelnotfounderror resourcenotfoundexception'],
  [
    'upstream_rate_limited',
    'ratelimit ratelimiterror ratelimitexceeded toomanyrequests toomanyrequestserror resourceexhausted insufficientquota quotaexceeded throttling throttlingexception',
  ],
  ['upstream_timeout', 'timeout timeouterror deadlineexceeded gatewaytimeout modeltimeoutexception'],
  [
    'upstream_unavailable',
    'overloaded overloadederror engineoverloaded engineoverloadederror modeloverloaded unavailable serviceunavailable serviceunavailableerror serviceunavailableexception internalserverexception',
  ],
]
const CODES: ReadonlyMap<string, ErrorCode> = new Map(
  NAMES.flatMap(([code, names]) => names.split(' ').map((name): [string, ErrorCode] => [name, code])),
)

/** Of MiniMax, Baidu and Zhipu, which answer with 200. */
const NUMBERS: ReadonlyMap<number, ErrorCode> = new Map([
  [1004, 'upstream_auth'],
  [1008, 'upstream_auth'],
  [1113, 'upstream_auth'],
  [2049, 'upstream_auth'],
  [1026, 'upstream_rejected'],
  [1210, 'upstream_rejected'],
  [1214, 'upstream_rejected'],
  [1261, 'upstream_rejected'],
  [1301, 'upstream_rejected'],
  [2013, 'upstream_rejected'],
  [336003, 'upstream_rejected'],
  [336007, 'upstream_rejected'],
  [1302, 'upstream_rate_limited'],
  [1303, 'upstream_rate_limited'],
  [1305, 'upstream_rate_limited'],
])

function numbered(code: unknown): ErrorCode | undefined {
  return typeof code === 'number' || typeof code === 'string' ? NUMBERS.get(Number(code)) : undefined
}

/** Google has the reason in the details: `[{"reason": "API_KEY_INVALID"}]`. */
function namesIn({ code, type, status, details }: Fields): string[] {
  const reasons = Array.isArray(details) ? details.slice(0, 8).map((each) => isRecord(each) && each.reason) : []
  return [code, type, status, ...reasons].flatMap((name) => (typeof name === 'string' ? namesFor(name) : []))
}

/** Alibaba's `Throttling.RateQuota` is a kind of `Throttling`; Amazon's names may have a namespace. */
function namesFor(name: string): string[] {
  const short = name.slice(name.indexOf('#') + 1)
  return [short, ...(short.includes('.') ? short.split('.', 2) : [])].map(normalised)
}

function normalised(name: string): string {
  return name.replace(/[^a-z]/gi, '').toLowerCase()
}

/** Reasons of a 403 that concern what was asked, or from where, and not the key. */
const ABOUT_REQUEST = new Set(
  'contentpolicyviolation contentpolicy contentfilter contentfiltered moderation moderationerror moderationblocked safety promptblocked responsibleaipolicyviolation datainspectionfailed unsupportedcountryregionterritory contextlengthexceeded'.split(
    ' ',
  ),
)

function isAboutRequest({ metadata }: Fields, names: readonly string[]): boolean {
  // OpenRouter, of moderation.
  const { reasons, flagged_input } = isRecord(metadata) ? metadata : {}
  return names.some((name) => ABOUT_REQUEST.has(name)) || Array.isArray(reasons) || typeof flagged_input === 'string'
}

/** Longer texts quote the request. */
const MAX_WORDS = 600

const KEY = String.raw`\b(?:api|access|auth|secret|subscription|bearer|authentication|authorization)[ _-]?(?:keys?|tokens?|headers?|credentials?)\b`
const BAD = String.raw`\b(?:incorrect|invalid|not (?:valid|found|authori[sz]ed|active)|wrong|expired|revoked|disabled|missing|unknown|malformed|deactivated)\b`
const KEY_IS_BAD = [
  new RegExp(`${KEY}.{0,80}?${BAD}`, 'i'),
  new RegExp(`${BAD}[\\w ]{0,20}?${KEY}`, 'i'),
  /\b(unauthori[sz]ed|unauthenticated|authentication ?(failed|error|fails)|login fail|credit balance|insufficient balance)\b/i,
]

function saysKeyIsBad({ message, param }: Fields): boolean {
  // The name of a parameter tells that the request is at fault.
  if (typeof message !== 'string' || (typeof param === 'string' && param !== '')) return false
  const words = message.slice(0, MAX_WORDS)
  return KEY_IS_BAD.some((pattern) => pattern.test(words))
}
