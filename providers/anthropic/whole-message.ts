import type { Fields } from '../../src/json.ts'
import { requireRecord } from '../received-fields.ts'

/** The events in which the API would have streamed this message; undefined when it is no message. */
export function eventsOfMessage(message: Fields): Fields[] | undefined {
  const { content, stop_reason, stop_sequence, usage } = message
  if (message.type !== 'message' || !Array.isArray(content)) return undefined
  const start = { ...message, content: [], stop_reason: null, stop_sequence: null }
  return [
    { type: 'message_start', message: start },
    ...content.flatMap((block: unknown, index) => eventsOfBlock(requireRecord(block), index)),
    { type: 'message_delta', delta: { stop_reason, stop_sequence: stop_sequence ?? null }, usage },
    { type: 'message_stop' },
  ]
}

function eventsOfBlock(block: Fields, index: number): Fields[] {
  const { start, deltas } = split(block)
  return [
    { type: 'content_block_start', index, content_block: start },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ]
}

/** The API streams texts, citations, signatures and inputs in deltas; other fields come with the start of the block. */
function split(block: Fields): { start: Fields; deltas: Fields[] } {
  const { text, thinking, signature, citations, input } = block
  switch (block.type) {
    case 'text': {
      const quotes: unknown[] = Array.isArray(citations) ? citations : []
      return {
        start: { ...block, text: '', ...(Array.isArray(citations) && { citations: [] }) },
        deltas: [{ type: 'text_delta', text }, ...quotes.map((citation) => ({ type: 'citations_delta', citation }))],
      }
    }
    case 'thinking':
      return {
        start: { ...block, thinking: '', ...(signature !== undefined && { signature: '' }) },
        deltas: [
          { type: 'thinking_delta', thinking },
          { type: 'signature_delta', signature },
        ],
      }
    case 'tool_use':
    case 'server_tool_use':
    case 'mcp_tool_use':
      return {
        start: { ...block, input: {} },
        deltas: [{ type: 'input_json_delta', partial_json: JSON.stringify(input ?? {}) }],
      }
    default:
      return { start: block, deltas: [] }
  }
}
