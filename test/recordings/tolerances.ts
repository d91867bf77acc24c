import { isRecord, type Fields } from '../../src/json.ts'
import { listOf } from './answer.ts'
import { SUCCESS } from './check-own-wire.ts'
import type { Difference } from './differences.ts'
import { PADDING } from './read-openai.ts'
import type { Recording } from './recording.ts'

export interface Tolerance {
  name: string
  reason: string
  applies(difference: Difference, recorded: string, wire: Recording['wire']): boolean
}

const ID_FIELDS = new Set(['id', 'toolCallId', 'tool_call_id'])

/** Fields of a message that openai-node accumulates; of any other field it keeps the last piece. */
const KNOWN_MESSAGE_FIELDS = new Set(['role', 'content', 'refusal', 'function_call', 'tool_calls', 'audio', 'parsed'])

const REQUIRED = [
  /^(chunk\.)?(created|model|object)$/,
  /message\.role$/,
  /calls[.[]\d+\]?\.type$/,
  /calls[.[]\d+\]?\.function\.arguments$/,
]

/** Differences that do not count, each with its reason. There is no other list. */
export const TOLERANCES: readonly Tolerance[] = [
  {
    name: 'generated id',
    reason: 'Where the provider sends no id, Sluice generates one, and some readers do; no two are equal.',
    applies: ({ path, direct, through }, recorded) =>
      ID_FIELDS.has(lastName(path)) && typeof through === 'string' && through !== '' && !occurs(recorded, direct),
  },
  {
    name: 'required field',
    reason: 'The wire requires these fields; Sluice adds them where a provider omits them.',
    applies: ({ path, direct, through }) =>
      isNothing(direct) && !isNothing(through) && REQUIRED.some((field) => field.test(path)),
  },
  {
    name: 'cut JSON',
    reason: 'Arguments that end in the middle are a text in one protocol; the SDK of the Messages API completes them.',
    applies: ({ check, path, direct }) =>
      check === 'messages sdk' && path.endsWith('.arguments') && typeof direct === 'string',
  },
  {
    name: 'absent null',
    reason: 'Null and absence say the same on both wires.',
    applies: ({ direct, through }) => isNothing(direct) && isNothing(through),
  },
  {
    name: 'repaired',
    reason:
      'The stream is complete, but the official SDK rejects it directly: a chunk without the role, calls whose indexes begin at 1, a second message_start. Sluice adds what is missing; all other readings are compared.',
    applies: ({ check, path, through }) => check === 'sdk' && path === 'error' && through === SUCCESS,
  },
  {
    name: 'message beside delta',
    reason:
      'Perplexity and Writer repeat the answer so far as the `message` of each choice: kept, an answer would grow with its square. openai-node ends with the last of them, which at Writer is empty.',
    applies: ({ check, path }, recorded) =>
      /"message":\{/.test(recorded) &&
      (path.endsWith('.choice.message') ||
        (check === 'sdk' && path.endsWith('.message.content')) ||
        (check === 'whole' && /\.message\.(content|tool_calls)$/.test(path))),
  },
  {
    name: 'two calls at one index',
    reason:
      'Two calls with different ids have one index. openai-node joins them to one, with arguments that are no JSON; the AI SDK reads two, as Sluice does.',
    applies: ({ check, path }, recorded, wire) =>
      wire === 'openai' && check !== 'ai-sdk' && /calls\b/.test(path) && startsTwice(recorded),
  },
  {
    name: 'index of calls',
    reason:
      'The calls have no index, or it begins at 1: openai-node reads none of them, or a list with a hole. Sluice numbers them.',
    applies: ({ path }, recorded, wire) =>
      wire === 'openai' && /calls\b/.test(path) && callsIn(recorded)[0]?.index !== 0,
  },
  {
    name: 'usage elsewhere',
    reason: 'Groq tells the usage in `x_groq` alone; Sluice sends it there and as `usage`, where clients read it.',
    applies: ({ path, direct }, recorded) =>
      /(^|\.)usage(\.|$)/.test(path) && isNothing(direct) && recorded.includes('"x_groq"'),
  },
  {
    name: 'padding',
    reason: 'Random characters hide the length of a chunk from those who watch the network; they say nothing.',
    applies: ({ path }) => PADDING.has(lastName(path)),
  },
  {
    name: 'last piece',
    reason:
      'openai-node keeps only the last piece of a field that it does not know. Sluice joins the pieces that arrive together; the raw reader compares the whole.',
    applies: ({ check, path, direct }, _, wire) => {
      if (check === 'chat sdk' && path === 'reasoning') return true
      const [, field] = /^choices\[\d+\]\.message\.(\w+)/.exec(path) ?? []
      // It makes this of a list of parts.
      if (check === 'sdk' && field === 'content' && String(direct).includes('[object Object]')) return true
      return check === 'sdk' && wire === 'openai' && field !== undefined && !KNOWN_MESSAGE_FIELDS.has(field)
    },
  },
]

export function toleranceOf(difference: Difference, { body, wire }: Recording): Tolerance | undefined {
  return TOLERANCES.find((tolerance) => tolerance.applies(difference, body.toString(), wire))
}

function isNothing(value: unknown): boolean {
  return value === null || value === undefined
}

/** Whether calls with different ids have one index. */
function startsTwice(recorded: string): boolean {
  const ids = new Map<unknown, Set<unknown>>()
  for (const { index, id } of callsIn(recorded))
    if (typeof id === 'string' && id !== '') ids.set(index, (ids.get(index) ?? new Set()).add(id))
  return [...ids.values()].some(({ size }) => size > 1)
}

function callsIn(recorded: string): Fields[] {
  return recorded
    .split(/\r?\n/)
    .flatMap((line) => (line.startsWith('data: {') ? listOf(parse(line.slice(5))?.choices) : []))
    .flatMap(({ delta }) => listOf(isRecord(delta) ? delta.tool_calls : undefined))
}

function parse(json: string): Fields | undefined {
  const value: unknown = JSON.parse(json)
  return isRecord(value) ? value : undefined
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1)
}

/** Whether the provider sent this value. */
function occurs(recorded: string, value: unknown): boolean {
  return typeof value === 'string' && value !== '' && recorded.includes(JSON.stringify(value))
}
