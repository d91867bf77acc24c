// What is wrong with a configuration, in words for its operator: the place, the rule, the given value, and what was meant.

import type { z } from 'zod'
import { toFaults, type Fault } from './faults.ts'
import { isPlainRecord, isRecord } from './json.ts'
import { MASK } from './mask-config.ts'
import { nearestNames } from './routing/nearest-names.ts'

/** Longer values are cut off. */
const MAX_SHOWN = 60

/** A key that was put in the wrong place must not be shown, whatever the setting. */
const LIKE_A_SECRET = /^(?:(?:sk|pk|rk|slk|gsk|xai|ghp|hf|bearer)[-_ ]|AIza|eyJ)|^[\w+/=-]{40,}$|^[^/\s]*:[^/\s]*@/i

interface Issue {
  path: PropertyKey[]
  message: string
  /** The values that would be right, where they can be listed. */
  allowed?: readonly string[]
  /** The fault is in a name, whatever its value. */
  ofName?: boolean
}

/**
 * Names the faults of a configuration.
 *
 * @param shown the configuration without its secrets
 */
export function describeIssues(issues: readonly z.core.$ZodIssue[], shown: unknown): Fault[] {
  return toFaults(
    issues.flatMap(unfold).map((issue) => ({
      path: issue.path,
      message: issue.ofName ? issue.message : withValue(issue, valueAt(shown, issue.path)),
    })),
  )
}

/**
 * Locates an issue precisely. Unknown settings: one issue for each. A union: the issues of its intended variant, the
 * one whose issues lie deepest.
 */
function unfold(issue: z.core.$ZodIssue): Issue[] {
  const { path, message } = issue
  if (issue.code === 'unrecognized_keys') {
    const messages = message.split('\n')
    return issue.keys.map((key, i) => ({ path: [...path, nameOnly(key)], message: messages[i] ?? '', ofName: true }))
  }
  if (issue.code === 'invalid_union') {
    const depth = (issues: readonly Issue[]) => Math.max(...issues.map((each) => each.path.length))
    const [meant] = issue.errors.map((issues) => issues.flatMap(unfold)).toSorted((a, b) => depth(b) - depth(a))
    if (meant && depth(meant) > 0) return meant.map((each) => ({ ...each, path: [...path, ...each.path] }))
    return [{ path, message, allowed: ('options' in issue ? issue.options : undefined)?.map(String) ?? [] }]
  }
  if (issue.code === 'invalid_value') return [{ path, message, allowed: issue.values.map(String) }]
  return [{ path, message, ofName: issue.code === 'invalid_key' }]
}

function withValue({ path, message, allowed = [] }: Issue, value: unknown): string {
  if (value === undefined || (typeof value === 'string' && message.includes(value))) return message
  const meant = typeof value === 'string' && value !== MASK ? didYouMean(value, allowed) : ''
  return `${message} (given: ${isHidden(value, path.at(-1)) ? MASK : show(value)})${meant}`
}

/** Settings that hold a URL. What is none there may be a key in the wrong place. */
const OF_URL = /url$|^proxy$/i

function isHidden(value: unknown, name: PropertyKey = ''): boolean {
  return typeof value === 'string' && OF_URL.test(String(name)) && !URL.canParse(value)
}

function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (isRecord(value)) return 'an object'
  if (value === null) return 'nothing'
  if (typeof value !== 'string') return JSON.stringify(value)
  if (value === MASK || LIKE_A_SECRET.test(value)) return MASK
  return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value)
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((each, key) => {
    if (Array.isArray(each) && typeof key === 'number') return each[key]
    return isPlainRecord(each) && Object.hasOwn(each, key) ? each[String(key)] : undefined
  }, value)
}

/** Empty when nothing is near. */
export function didYouMean(name: string, names: readonly string[]): string {
  const [nearest] = nearestNames(name, names)
  return nearest === undefined ? '' : `; did you mean ${JSON.stringify(nearest)}?`
}

/** In `{ apiKey:sk-1 }` a space is missing, so YAML reads the whole as a name. Messages must not quote it. */
function nameOnly(name: string): string {
  return name.replace(/[:=\s].*$/s, '…')
}

/** Zod's words, where a schema has none of its own. */
export const describeIssue: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `expected ${KINDS[issue.expected] ?? issue.expected}`
    case 'too_small':
      return `expected ${atLeast(issue.origin, Number(issue.minimum), issue.inclusive ?? true)}`
    case 'too_big':
      return `expected at most ${issue.maximum} ${PARTS[issue.origin] ?? ''}`.trim()
    case 'invalid_value':
      return `expected ${listed(issue.values.map(String))}`
    case 'invalid_format':
      return issue.format === 'url'
        ? 'expected a URL that begins with http:// or https://'
        : 'has characters that it cannot have'
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownName(key, namesOf(issue.inst))).join('\n')
    case 'invalid_key':
      return issue.issues[0]?.message
    case 'custom':
    case 'invalid_element':
    case 'invalid_union':
    case 'not_multiple_of':
      return 'cannot be used'
  }
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
}

const PARTS: Readonly<Record<string, string>> = { string: 'characters', array: 'items' }

function atLeast(origin: string, least: number, inclusive: boolean): string {
  if (origin === 'string' && least === 1) return 'a text that is not empty'
  if (origin === 'array' && least === 1) return 'a list that is not empty'
  return `${inclusive ? 'at least' : 'more than'} ${least} ${PARTS[origin] ?? ''}`.trim()
}

function listed(values: readonly string[]): string {
  const last = values.at(-1) ?? ''
  return values.length < 2 ? last : `${values.slice(0, -1).join(', ')} or ${last}`
}

function unknownName(key: string, known: readonly string[]): string {
  const [, name = ''] = /^(\w+):/.exec(key) ?? []
  if (known.includes(name)) return 'needs a space after the colon'
  return `there is no such setting${didYouMean(nameOnly(key), known)}`
}

/** The names that an object schema knows. */
function namesOf(schema: unknown): string[] {
  const shape = isRecord(schema) && 'shape' in schema ? schema.shape : undefined
  return isRecord(shape) ? Object.keys(shape) : []
}
