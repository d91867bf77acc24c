// Tool calls of a UI message stream, from their start to their parsed input.

import { parseJson, recordOrEmpty, type Fields } from '../../json.ts'
import { followJson, JSON_START, type JsonProgress } from '../../wires/json-progress.ts'
import type { Chunk } from './chunks.ts'

/** A call whose input may still grow. Immutable. */
export interface OpenCall {
  readonly index: number
  readonly id: string
  readonly name: string
  readonly json: string
  readonly progress: JsonProgress
  /** The input that came with the start. */
  readonly given: Fields
  /** The provider runs the tool, not the client. */
  readonly executed: boolean
  /** The MCP server of the tool. */
  readonly server: string | undefined
}

/** Calls that the provider answers itself, in the same message. */
const EXECUTED: ReadonlySet<unknown> = new Set(['server_tool_use', 'mcp_tool_use'])

/** How the AI SDK marks calls of MCP tools. */
export const MCP = 'mcp-tool-use'

/** Undefined for blocks of other types. */
export function callOf(index: number, { type, id, name, input, server_name: server }: Fields): OpenCall | undefined {
  if (type !== 'tool_use' && !EXECUTED.has(type)) return undefined
  return {
    index,
    id: typeof id === 'string' && id !== '' ? id : `call_${index}`,
    name: typeof name === 'string' ? name : '',
    json: '',
    progress: JSON_START,
    given: recordOrEmpty(input),
    executed: EXECUTED.has(type),
    server: type === 'mcp_tool_use' && typeof server === 'string' ? server : undefined,
  }
}

export function growCall(call: OpenCall, json: string): OpenCall {
  return { ...call, json: call.json + json, progress: followJson(call.progress, json) }
}

/** Some upstreams mix the fragments of several calls: another block ends only the calls before it that are whole. */
export function isWhole({ progress }: OpenCall): boolean {
  return progress.complete
}

export function startChunk(call: OpenCall): Chunk {
  return { type: 'tool-input-start', ...named(call) }
}

/** Clients run a tool as soon as they have its input, so an input that is not JSON must be an error. */
export function endCall(call: OpenCall): Chunk {
  const { json, given } = call
  const fields = { ...named(call), ...located(call) }
  if (json.trim() === '') return { type: 'tool-input-available', ...fields, input: given }
  try {
    return { type: 'tool-input-available', ...fields, input: parseJson(json) }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { type: 'tool-input-error', ...fields, input: json, errorText: `The input is not valid JSON: ${why}` }
  }
}

/**
 * The result of a call that the provider has run. Failures of MCP tools are errors: a result has no other place that
 * says so. Those of other tools are a kind of content.
 */
export function resultChunk(id: string, { type, content, is_error }: Fields): Chunk {
  const result = { toolCallId: id, providerExecuted: true }
  if (type === 'mcp_tool_result' && is_error === true)
    return { type: 'tool-output-error', ...result, errorText: wordsOf(content) }
  return { type: 'tool-output-available', ...result, output: content ?? null }
}

/** Claude's MCP tools answer with texts. */
function wordsOf(content: unknown): string {
  if (typeof content === 'string') return content
  return Array.isArray(content) ? content.map(textOf).join('') : ''
}

function textOf(block: unknown): string {
  const { text } = recordOrEmpty(block)
  return typeof text === 'string' ? text : ''
}

/** The page does not define the tools of the provider, hence `dynamic`. */
function named({ id, name, executed }: OpenCall): Fields {
  return { toolCallId: id, toolName: name, ...(executed && { providerExecuted: true, dynamic: true }) }
}

/** As the AI SDK's own provider does: the client keeps it with the call, and sends it back. */
function located({ server }: OpenCall): Fields {
  return server === undefined ? {} : { providerMetadata: { anthropic: { type: MCP, serverName: server } } }
}
