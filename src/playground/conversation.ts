import type { ChatMessage, FinalChat } from '../client/index.ts'

/** What a tool returned, for the model. */
export interface ToolResult {
  id: string
  name: string
  content: string
}

/** A question or results of tools, and their answer; without either when the page came to a stream that it did not start. */
export interface Turn {
  question: string | undefined
  /** Of the calls in the answer before. */
  results?: readonly ToolResult[]
  answer: string
  /** The whole answer, when it calls tools: their results refer to it. */
  called?: FinalChat['message']
  /** The stream of the answer, once the gateway has named it. */
  streamId: string | undefined
}

export type Asked = Pick<Turn, 'question' | 'results'>

/** What this takes of `sessionStorage`. */
export interface Memory {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

const KEY = 'sluice.conversation'

/** What has been said so far. The streams are the gateway's to keep; this page keeps the questions, for a reload. */
export class Conversation {
  readonly turns: Turn[] = []
  readonly #memory: Memory

  constructor(memory: Memory) {
    this.#memory = memory
  }

  add(asked: Asked, streamId?: string): Turn {
    const turn: Turn = { ...asked, answer: '', streamId }
    this.turns.push(turn)
    return turn
  }

  /** Forgets this turn and all after it. */
  cutAt(index: number): void {
    this.turns.length = index
  }

  /**
   * Everything said before this turn, and what is asked in it, as a model is told it. What was only reasoned is left out,
   * and calls without results.
   */
  messagesFor(asked: Asked, index = this.turns.length): ChatMessage[] {
    const turns: Omit<Turn, 'streamId'>[] = [...this.turns.slice(0, index), { ...asked, answer: '' }]
    return turns.flatMap(({ question, results = [], answer, called }, each) => {
      const messages: ChatMessage[] = results.map(({ id, content }) => ({ role: 'tool', tool_call_id: id, content }))
      if (question !== undefined) messages.push({ role: 'user', content: question })
      if (called && turns[each + 1]?.results) messages.push({ ...called })
      else if (answer !== '') messages.push({ role: 'assistant', content: answer })
      return messages
    })
  }

  clear(): void {
    this.turns.length = 0
  }

  save(): void {
    try {
      this.#memory.setItem(KEY, JSON.stringify(this.turns))
    } catch {
      // No room, or none allowed: after a reload the page knows the answer alone.
    }
  }

  /**
   * What was saved up to the turn of this stream, which comes last; that turn alone when it was not saved here. Its answer
   * is what this tab has of it: the gateway's own replaces it.
   */
  restore(streamId: string): Turn {
    this.clear()
    const saved = parseTurns(this.#memory.getItem(KEY))
    const index = saved.findIndex((turn) => turn.streamId === streamId)
    this.turns.push(...saved.slice(0, index + 1))
    return this.turns.at(-1) ?? this.add({ question: undefined }, streamId)
  }
}

function parseTurns(text: string | null): Turn[] {
  try {
    const saved: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(saved) ? saved.filter(isTurn) : []
  } catch {
    return []
  }
}

function isTurn(value: unknown): value is Turn {
  if (!isRecord(value)) return false
  const { question, answer, streamId, results = [], called = {} } = value
  return (
    isOptionalText(question) &&
    typeof answer === 'string' &&
    isOptionalText(streamId) &&
    Array.isArray(results) &&
    results.every(isResult) &&
    isRecord(called)
  )
}

function isResult(value: unknown): value is ToolResult {
  return isRecord(value) && [value.id, value.name, value.content].every((each) => typeof each === 'string')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}
