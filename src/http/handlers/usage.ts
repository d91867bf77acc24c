import { setImmediate as nextTurn } from 'node:timers/promises'
import { formatCost, toCost } from '../../cost.ts'
import { invalidField, SluiceError } from '../../errors.ts'
import { JSON_TYPE, negotiate } from '../../media-types.ts'
import { dateOf, DAY_MS, DAYS_KEPT, type LedgerRow } from '../../usage/ledger.ts'
import type { Handler, RequestContext, Services } from '../context.ts'

const CSV_TYPE = 'text/csv'
const FORMATS = { json: JSON_TYPE, csv: CSV_TYPE } as const

/** Of a row, in this order. */
const COLUMNS = [
  'date',
  'caller',
  'model',
  'streams',
  'forwards',
  'prompt_tokens',
  'completion_tokens',
  'estimated_tokens',
  'cost',
] as const

/**
 * `GET /v1/usage?from=YYYY-MM-DD&to=…`: what the caller used, by UTC day and model, as JSON or CSV; by default on all
 * days that are kept. With the scope `admin`: what all callers used, or the one that `caller` names.
 */
export function readUsage({ ledger }: Services): Handler {
  return async (context) => {
    const now = Date.now()
    const from = readDate(context, 'from') ?? dateOf(now - DAYS_KEPT * DAY_MS)
    const to = readDate(context, 'to') ?? dateOf(now)
    if (from > to) throw invalidField('invalid_request', 'from', 'must not be after to')
    const rows = await ledger.rows(from, to, readCaller(context))
    context.vary('Accept')
    if (readFormat(context) === JSON_TYPE) {
      const usage = await inTurns(rows, toJson)
      context.type = JSON_TYPE
      context.body = `{"from":"${from}","to":"${to}","usage":[${usage.join()}]}`
    } else {
      const lines = await inTurns(rows, toLine)
      context.type = `${CSV_TYPE}; charset=utf-8; header=present`
      context.body = [COLUMNS.join(), ...lines, ''].join('\r\n')
    }
  }
}

/** Rows written in a turn of the event loop: those of many callers take a second together. */
const ROWS_AT_ONCE = 1000

async function inTurns(rows: Iterable<LedgerRow>, write: (row: LedgerRow) => string): Promise<string[]> {
  const written: string[] = []
  for (const row of rows) {
    written.push(write(row))
    if (written.length % ROWS_AT_ONCE === 0) await nextTurn()
  }
  return written
}

function readDate({ query }: RequestContext, name: string): string | undefined {
  const value = query[name]
  if (value === undefined) return undefined
  if (typeof value === 'string' && isDate(value)) return value
  throw invalidField('invalid_request', name, 'must be a date such as 2026-01-31')
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false
  const time = Date.parse(text)
  // There is no 31 February, which some engines take for 3 March.
  return !Number.isNaN(time) && dateOf(time) === text
}

/** Whose usage to show; undefined for everybody's. */
function readCaller({ query, state }: RequestContext): string | undefined {
  const { principal, user } = state.caller
  const { name, scopes } = principal
  const asked = query.caller
  if (Array.isArray(asked)) throw invalidField('invalid_request', 'caller', 'must be one name')
  if (scopes.has('admin')) return asked
  // All subjects of an issuer, or users of a key, are counted together.
  if (user !== undefined)
    throw new SluiceError('insufficient_scope', 'Usage is not counted by user: only the scope admin sees it.')
  if (asked === undefined || asked === name) return name
  throw new SluiceError('insufficient_scope', 'caller: only a caller with the scope "admin" sees the usage of others.')
}

function readFormat(context: RequestContext): string {
  const { format } = context.query
  if (format === undefined) return negotiate(context.get('Accept'), JSON_TYPE, CSV_TYPE)
  if (format === 'json' || format === 'csv') return FORMATS[format]
  throw invalidField('invalid_request', 'format', 'must be json or csv')
}

function toJson({ nanos, ...row }: LedgerRow): string {
  return JSON.stringify({ ...row, cost: toCost(nanos) })
}

/** https://www.rfc-editor.org/rfc/rfc4180.html */
function toLine({ nanos, ...row }: LedgerRow): string {
  const fields = { ...row, cost: formatCost(toCost(nanos)) }
  return COLUMNS.map((name) => String(fields[name]))
    .map((text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text))
    .join()
}
