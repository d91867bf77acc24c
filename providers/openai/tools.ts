// Tools and the choice among them as servers of Chat Completions take them.

import type { ChatRequest } from '../../src/chat-request.ts'
import { isRecord, type Fields } from '../../src/json.ts'
import { inexpressible } from './inexpressible.ts'

type Tool = NonNullable<ChatRequest['tools']>[number]

/** Anthropic's own tools have a date in their type, such as `web_search_20250305`, apart from these. */
const ANTHROPIC_TOOL = /_\d{8}$|^tool_search_tool_(bm25|regex)$|^mcp_toolset$/

/** @throws SluiceError `invalid_request`, with the path of a tool of Anthropic's own */
export function checkTools({ tools }: ChatRequest): void {
  for (const [i, { type }] of tools?.entries() ?? []) if (ANTHROPIC_TOOL.test(type)) throw inexpressible(`tools[${i}]`)
}

/** Servers refuse an empty list, and a choice without tools. */
export function toTools(request: ChatRequest): Fields {
  const { tools, tool_choice, parallel_tool_calls } = request
  if (!tools || tools.length === 0) return {}
  return {
    tools: tools.map(toChatTool),
    ...(tool_choice !== undefined && { tool_choice }),
    ...(parallel_tool_calls !== undefined && { parallel_tool_calls }),
  }
}

/** Drops what only Anthropic reads. OpenAI wants the properties of an object, even if there are none. */
function toChatTool(tool: Tool): Tool {
  const {
    cache_control: _cache,
    eager_input_streaming: _eager,
    defer_loading: _defer,
    input_examples: _examples,
    allowed_callers: _callers,
    ...kept
  } = tool
  const parameters = kept.function?.parameters
  if (!kept.function || !isRecord(parameters) || !lacksProperties(parameters)) return kept
  return { ...kept, function: { ...kept.function, parameters: { type: 'object', ...parameters, properties: {} } } }
}

function lacksProperties({ type, properties, ...rest }: Fields): boolean {
  return properties === undefined && (type === 'object' || (type === undefined && Object.keys(rest).length === 0))
}
