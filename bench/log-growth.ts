import { StreamLog } from '../src/stream/stream-log.ts'
import { answer } from './remote.ts'

const CHARACTERS = 6

/** Of the heap, by a log of so many tokens, beyond their characters. */
function bytesPerToken({ tokens, vocabulary }: { tokens: number; vocabulary: number }): number {
  const before = usedHeap()
  const log = new StreamLog({ id: 'str_bench', owner: '', model: 'bench', provider: 'bench', created: 0 })
  for (let i = 0; i < tokens; i++) {
    const content = (i % vocabulary).toString(36).padStart(CHARACTERS, ' ')
    const parsed = JSON.parse(`{"content":"${content}"}`) as { content: string }
    log.append({ type: 'delta', content: parsed.content })
  }
  const grown = usedHeap() - before
  // Asked for after the heap was measured, so that the log was there until then.
  if (log.last !== tokens) throw new Error(`The log has ${log.last} of ${tokens} tokens.`)
  return grown / tokens - CHARACTERS
}

function usedHeap(): number {
  global.gc?.()
  global.gc?.()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

const commands = { bytesPerToken }
export type LogCommands = typeof commands

answer(commands)
