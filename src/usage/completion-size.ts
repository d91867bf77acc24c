// How many tokens an answer has when its upstream did not report them.

import type { Delta } from '../stream/events.ts'
import { catchUp } from '../stream/event-loop.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import { promptUsageOf, type PromptUsage } from '../wires/anthropic-usage.ts'
import { CHARACTERS_PER_TOKEN } from './estimate-tokens.ts'
import type { TokenCounter } from './token-counter.ts'

/** Read for a guess: it takes less than a millisecond. */
const GUESSED_BATCHES = 4

export interface CompletionCount {
  completion: number
  /** The prompt's part, if the upstream told it at the start of the answer. */
  prompt?: PromptUsage
}

/**
 * Counts the tokens of all texts of a log, slice by slice, so that a long one blocks nothing. At the deadline, it
 * concludes from what has been counted by then.
 */
export async function countCompletion(
  log: StreamLog,
  counter: TokenCounter,
  deadline: number,
): Promise<CompletionCount> {
  const { last } = log
  let prompt: PromptUsage | undefined
  let tokens = 0
  let cursor = 0
  while (cursor < last) {
    // Most answers are one batch.
    if (cursor > 0) await nextSlice()
    const batch = log.read(cursor, last)
    if (!batch) break
    let text = ''
    for (const { event } of batch.events) {
      if (event.type !== 'delta') continue
      text += textOf(event)
      prompt ??= promptUsageOf(event.carried)
    }
    const waitMs = deadline - performance.now()
    const counted = text === '' ? 0 : waitMs > 0 ? await counter.count(text, waitMs) : undefined
    if (counted === undefined) break
    tokens += counted
    cursor = batch.last
  }
  const completion = cursor === 0 ? guessCompletion(log) : Math.ceil((tokens * last) / cursor)
  return { completion, ...(prompt && { prompt }) }
}

/** At once, from the length of the first texts of the log. */
export function guessCompletion(log: StreamLog): number {
  const { last } = log
  let characters = 0
  let cursor = 0
  for (let batches = 0; cursor < last && batches < GUESSED_BATCHES; batches++) {
    const batch = log.read(cursor, last)
    if (!batch) break
    for (const { event } of batch.events) if (event.type === 'delta') characters += textOf(event).length
    cursor = batch.last
  }
  return cursor === 0 ? 0 : Math.ceil((characters * last) / cursor / CHARACTERS_PER_TOKEN)
}

function textOf({ content = '', reasoning = '', refusal = '', tool_calls }: Delta): string {
  let text = content + reasoning + refusal
  if (tool_calls)
    for (const { function: called, custom } of tool_calls)
      text += (called?.name ?? '') + (called?.arguments ?? '') + (custom?.name ?? '') + (custom?.input ?? '')
  return text
}

function nextSlice(): Promise<void> {
  return new Promise((resolve) => catchUp.ask(resolve))
}
