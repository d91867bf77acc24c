// The order in which Anthropic takes turns: the user's and Claude's alternate, and a call's result follows it at once.

import type { Fields } from '../../src/json.ts'

export interface Turn extends Fields {
  role: 'user' | 'assistant' | 'system'
  content: Fields[]
}

export interface Conversation {
  system: Fields[]
  turns: Turn[]
}

export interface Placement {
  /** Whether the model takes instructions within a conversation. */
  readonly instructions: boolean
  /** Anthropic has the beginning of the conversation. */
  readonly isThread: boolean
}

/** The API wants a conversation to begin with the user. */
const OPENING: Fields = { type: 'text', text: 'Hello.' }

/**
 * Instructions at the start become the `system` parameter. Later ones stay messages, placed
 * right after a user turn, if the model accepts them there. Otherwise those before the first answer join the
 * system prompt, and the rest become user text.
 */
export function placeTurns(given: readonly Turn[], { instructions, isThread }: Placement): Conversation {
  const placed: Conversation = { system: [], turns: [] }
  let between: Turn[] = []
  const flush = () => {
    placeBetween(between, placed, instructions)
    between = []
  }
  for (const turn of given) {
    // The API refuses empty turns.
    if (turn.content.length === 0 && isPlain(turn)) continue
    if (turn.role === 'assistant') {
      flush()
      join(placed.turns, turn)
    } else if (isPlain(turn)) between.push(turn)
    else {
      flush()
      placed.turns.push(turn)
    }
  }
  flush()
  return isThread ? placed : beginWithUser(placed)
}

/** Unknown fields belong to their message alone, so such a turn must not be merged. */
function isPlain(turn: Turn): boolean {
  return Object.keys(turn).length === 2
}

/** Consecutive messages of one side are one turn: the results of several calls must be. */
function join(turns: Turn[], turn: Turn): void {
  const last = turns.at(-1)
  if (last?.role === turn.role && isPlain(last) && isPlain(turn)) last.content.push(...turn.content)
  else turns.push({ ...turn, content: [...turn.content] })
}

/** The turns between two answers, with the results of calls before all else. */
function placeBetween(between: readonly Turn[], { system, turns }: Conversation, instructions: boolean): void {
  const isStart = !turns.some(({ role }) => role === 'assistant')
  const canStay = instructions && between.some(({ role }) => role === 'user')
  const results: Fields[] = []
  const said: Fields[] = []
  const later: Fields[] = []
  for (const { role, content } of between)
    if (role === 'user') for (const block of content) (block.type === 'tool_result' ? results : said).push(block)
    else if (turns.length === 0 && results.length + said.length === 0) system.push(...content)
    else if (canStay) later.push(...content)
    else if (isStart) system.push(...content)
    else said.push(...content.map(toUserText))
  const blocks = [...results, ...said]
  if (blocks.length > 0) join(turns, { role: 'user', content: blocks })
  if (later.length > 0) join(turns, { role: 'system', content: later })
}

function toUserText(block: Fields): Fields {
  return typeof block.text === 'string' ? { ...block, text: `<system>\n${block.text}\n</system>` } : block
}

function beginWithUser({ system, turns }: Conversation): Conversation {
  if (turns.length === 0 && system.length > 0) return { system: [], turns: [{ role: 'user', content: system }] }
  if (turns[0]?.role !== 'assistant') return { system, turns }
  return { system, turns: [{ role: 'user', content: [OPENING] }, ...turns] }
}
