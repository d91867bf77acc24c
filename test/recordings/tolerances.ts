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

function lastName(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1)
}

/** Whether the provider sent this value. */
function occurs(recorded: string, value: unknown): boolean {
  return typeof value === 'string' && value !== '' && recorded.includes(JSON.stringify(value))
}
