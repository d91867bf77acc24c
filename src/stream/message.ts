import type { CallCarried, Carried } from '../wires/carried.ts'

/** What a choice's deltas add up to. */
export interface Message {
  role: 'assistant'
  content: string | null
  reasoning?: string
  refusal?: string
  /** In the order of their indexes. */
  tool_calls?: ToolCall[]
  carried?: Carried
}

export interface ToolCall {
  id: string
  type: 'function'
  function: { name: string; arguments: string }
  carried?: CallCarried
}
