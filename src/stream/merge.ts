import type { Delta, ToolCallDelta } from './events.ts'

/**
 * One delta that says what `a` and then `b` say, or `undefined` when they must stay apart: of different kinds or
 * choices, or either one holds a role, carried fields, or the start of a tool call.
 */
export function mergeDeltas(a: Delta, b: Delta): Delta | undefined {
  if (a.index !== b.index || isSolitary(a) || isSolitary(b)) return undefined
  if (a.content !== undefined && b.content !== undefined) return { ...a, content: a.content + b.content }
  if (a.reasoning !== undefined && b.reasoning !== undefined) return { ...a, reasoning: a.reasoning + b.reasoning }
  if (a.refusal !== undefined && b.refusal !== undefined) return { ...a, refusal: a.refusal + b.refusal }
  const call = mergeArguments(a.tool_calls?.[0], b.tool_calls?.[0])
  return call && { ...a, tool_calls: [call] }
}

/** Whether a delta is of more than one kind, or of a kind that cannot be concatenated. */
function isSolitary(delta: Delta): boolean {
  if (delta.role !== undefined || delta.carried !== undefined) return true
  const calls = delta.tool_calls
  if (calls !== undefined && (calls.length !== 1 || startsCall(calls[0]))) return true
  const kinds =
    (delta.content === undefined ? 0 : 1) +
    (delta.reasoning === undefined ? 0 : 1) +
    (delta.refusal === undefined ? 0 : 1) +
    (calls === undefined ? 0 : 1)
  return kinds !== 1
}

function startsCall(call: ToolCallDelta | undefined): boolean {
  return (
    call === undefined ||
    call.id !== undefined ||
    call.type !== undefined ||
    call.function?.name !== undefined ||
    call.carried !== undefined
  )
}

function mergeArguments(a: ToolCallDelta | undefined, b: ToolCallDelta | undefined): ToolCallDelta | undefined {
  if (!a || !b || a.index !== b.index) return undefined
  return { index: a.index, function: { arguments: (a.function?.arguments ?? '') + (b.function?.arguments ?? '') } }
}
