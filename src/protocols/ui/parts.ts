// The parts of a UI message that say something to a model, each as a piece of a chat message.

import { z } from 'zod'
import type { ChatMessage, ContentPart } from '../../chat-request.ts'
import { isRecord, recordOrEmpty, withoutNulls, type Fields } from '../../json.ts'
import { readThoughtSignature } from '../../wires/thought-signature.ts'
import { read, type Piece } from '../anthropic/turns.ts'
import { MCP } from './calls.ts'
import { toContentPart } from './files.ts'

/** What a part adds to a conversation; a call comes with its result. */
export type UiPiece =
  | { kind: 'piece'; piece: Piece }
  | { kind: 'file'; part: ContentPart }
  | { kind: 'call'; call: Piece; result: ChatMessage }
  | StepStart

interface StepStart {
  kind: 'step'
}

const text = z.looseObject({ text: z.string() }).transform(({ text: words }): UiPiece[] => {
  return words === '' ? [] : fromPart({ type: 'text', text: words })
})

/** Claude wants its thoughts back with their signatures. Thoughts without one are those of other models. */
const reasoning = z
  .looseObject({ text: z.string(), providerMetadata: z.looseObject({}).optional() })
  .transform(({ text: thinking, providerMetadata }): UiPiece[] => {
    const { signature, redactedData } = recordOrEmpty(providerMetadata?.anthropic)
    const block: Fields =
      typeof redactedData === 'string'
        ? { type: 'redacted_thinking', data: redactedData }
        : { type: 'thinking', thinking, ...(typeof signature === 'string' && { signature }) }
    return [{ kind: 'piece', piece: { kind: 'thoughts', block } }]
  })

const file = z
  .looseObject({ url: z.string(), mediaType: z.string(), filename: z.string().optional() })
  .transform((part): UiPiece[] => [{ kind: 'file', part: toContentPart(part) }])

const tool = z.looseObject({
  type: z.string(),
  toolCallId: z.string(),
  toolName: z.string().optional(),
  state: z.string(),
  input: z.unknown().optional(),
  rawInput: z.unknown().optional(),
  output: z.unknown().optional(),
  errorText: z.string().optional(),
  preliminary: z.boolean().optional(),
  providerExecuted: z.boolean().optional(),
  callProviderMetadata: z.looseObject({}).optional(),
  approval: z.looseObject({ reason: z.string().optional() }).optional(),
})

type ToolPart = z.infer<typeof tool>

interface ToolResult {
  content: string
  isError: boolean
}

interface ExecutedCall {
  id: string
  name: string
  input: Fields
}

/** Types of tools that the page defines end with the name. */
const NAMED = 'tool-'

/** One for all tools: to build a schema takes longer than to read a part. */
const toolSchema = tool.transform(fromTool)

/** Parts of other types are for the page alone. */
const SCHEMAS: ReadonlyMap<string, z.ZodType<UiPiece[]>> = new Map(
  Object.entries({ text, reasoning, file, 'dynamic-tool': toolSchema }),
)

/** https://ai-sdk.dev/docs/reference/ai-sdk-core/ui-message */
export const partSchema = z
  .preprocess(withoutNulls, z.looseObject({ type: z.string() }))
  .transform((part, context): UiPiece[] => {
    const { type } = part
    if (type === 'step-start') return [{ kind: 'step' }]
    const schema = type.startsWith(NAMED) ? toolSchema : SCHEMAS.get(type)
    return schema ? read(schema, part, context) : []
  })

function fromPart(part: ContentPart): UiPiece[] {
  return [{ kind: 'piece', piece: { kind: 'part', part, block: part } }]
}

/**
 * A call and its result. A call without one is left out, as `ignoreIncompleteToolCalls` of the AI SDK does: every
 * upstream refuses it.
 */
function fromTool(part: ToolPart): UiPiece[] {
  const { type, toolCallId, toolName = '', providerExecuted = false } = part
  const name = type.startsWith(NAMED) ? type.slice(NAMED.length) : toolName
  const result = resultOf(part)
  if (!result) return []
  const { id, signature } = readThoughtSignature(toolCallId)
  const input = inputOf(part)
  if (providerExecuted) return fromExecuted({ id, name, input }, part, result)
  const call: Piece = {
    kind: 'call',
    call: {
      id,
      type: 'function',
      function: { name, arguments: JSON.stringify(input) },
      ...(signature !== undefined && { extra_content: { google: { thought_signature: signature } } }),
    },
    block: { type: 'tool_use', id, name, input },
  }
  const { content, isError } = result
  const answer: ChatMessage = { role: 'tool', tool_call_id: id, content, ...(isError && { is_error: true }) }
  return [{ kind: 'call', call, result: answer }]
}

/** The searches for tools have names of their own, but one type of result. */
const SEARCH = 'tool_search_tool'

/** A tool that Anthropic ran: its blocks, as they came. */
function fromExecuted(call: ExecutedCall, { output, callProviderMetadata }: ToolPart, result: ToolResult): UiPiece[] {
  const { type, serverName } = recordOrEmpty(callProviderMetadata?.anthropic)
  const { id, name } = call
  if (type === MCP && typeof serverName === 'string') {
    const { content, isError } = result
    return [
      ...fromPart({ type: 'mcp_tool_use', ...call, server_name: serverName }),
      ...fromPart({
        type: 'mcp_tool_result',
        tool_use_id: id,
        is_error: isError,
        content: isError ? toTexts(content) : (output ?? []),
      }),
    ]
  }
  const resultType = name.startsWith(SEARCH) ? `${SEARCH}_result` : `${name}_tool_result`
  return [
    ...fromPart({ type: 'server_tool_use', ...call }),
    ...fromPart({
      type: resultType,
      tool_use_id: id,
      // Claude refuses a result without content. The text of an error does not tell its code; each tool has this one.
      content: output ?? { type: `${resultType}_error`, error_code: 'unavailable' },
    }),
  ]
}

/** Claude refuses empty texts. */
function toTexts(words: string): Fields[] {
  return words === '' ? [] : [{ type: 'text', text: words }]
}

function resultOf(part: ToolPart): ToolResult | undefined {
  switch (part.state) {
    case 'output-available':
      return part.preliminary ? undefined : { content: toText(part.output), isError: false }
    case 'output-error':
      return { content: part.errorText ?? 'The tool failed.', isError: true }
    case 'output-denied':
      return { content: part.approval?.reason ?? 'Tool call execution denied.', isError: true }
    default:
      return undefined
  }
}

function toText(output: unknown): string {
  return typeof output === 'string' ? output : (JSON.stringify(output) ?? '')
}

/** Upstreams want an object. An input that was no JSON comes back as text, so that the model sees its mistake. */
function inputOf({ input, rawInput }: ToolPart): Fields {
  if (isRecord(input)) return input
  const other = input ?? rawInput
  return other === undefined ? {} : { input: other }
}
