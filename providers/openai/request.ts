import type { ChatMessage, ChatRequest, ContentPart } from '../../src/chat-request.ts'

/**
 * Removes Anthropic-only fields that do not affect the answer: prompt cache hints, signed thoughts, citations of
 * earlier content, how a call was made, and whether its result is an error (the result says so itself). Fields that do
 * affect the answer stay, for the upstream to refuse.
 */
export function toChatRequest(request: ChatRequest): ChatRequest {
  const { cache_control: _, thinking, messages, tools, ...rest } = request
  return {
    ...rest,
    ...(thinking !== undefined && !isDisabled(thinking) && { thinking }),
    messages: messages.map(toChatMessage),
    ...(tools && { tools: tools.map(toChatTool) }),
  }
}

function isDisabled(thinking: unknown): boolean {
  return typeof thinking === 'object' && thinking !== null && 'type' in thinking && thinking.type === 'disabled'
}

function toChatMessage(message: ChatMessage): ChatMessage {
  const { thinking_blocks: _, cache_control: _cache, is_error: _error, toolset_name: _toolset, ...rest } = message
  const { content, tool_calls } = rest
  return {
    ...rest,
    ...(Array.isArray(content) && { content: content.map(toChatPart) }),
    ...(tool_calls && { tool_calls: tool_calls.map(toChatCall) }),
  }
}

function toChatPart({ cache_control: _, citations: _citations, ...part }: ContentPart): ContentPart {
  return part
}

type ToolCall = NonNullable<ChatMessage['tool_calls']>[number]

function toChatCall({ cache_control: _, caller: _caller, toolset_name: _toolset, ...call }: ToolCall): ToolCall {
  return call
}

type Tool = NonNullable<ChatRequest['tools']>[number]

function toChatTool({ cache_control: _, eager_input_streaming: _eager, ...tool }: Tool): Tool {
  return tool
}
