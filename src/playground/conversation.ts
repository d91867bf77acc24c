import type { ChatMessage } from '../client/index.ts'

/** A question and its answer; without a question when the page came to a stream that it did not start. */
export interface Turn {
  question: string | undefined
  answer: string
  /** The stream of the answer, once the gateway has named it. */
  streamId: string | undefined
}

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

  add(question: string | undefined, streamId?: string): Turn {
    const turn: Turn = { question, answer: '', streamId }
    this.turns.push(turn)
    return turn
  }

  /** Everything said up to now, as a model is told it. What was only reasoned, or only called, is left out. */
  get messages(): ChatMessage[] {
    return this.turns.flatMap(({ question, answer }) => {
      const messages: ChatMessage[] = []
      if (question !== undefined) messages.push({ role: 'user', content: question })
      if (answer !== '') messages.push({ role: 'assistant', content: answer })
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

  /** What was saved up to the turn of this stream, which comes last; that turn alone when it was not saved here. */
  restore(streamId: string): Turn {
    this.clear()
    const saved = parseTurns(this.#memory.getItem(KEY))
    const index = saved.findIndex((turn) => turn.streamId === streamId)
    this.turns.push(...saved.slice(0, Math.max(0, index)))
    return this.add(saved[index]?.question, streamId)
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
  if (typeof value !== 'object' || value === null) return false
  const { question, answer, streamId }: Partial<Record<keyof Turn, unknown>> = value
  return isOptionalText(question) && typeof answer === 'string' && isOptionalText(streamId)
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}
