// Chat messages as input items: https://platform.openai.com/docs/api-reference/responses/create (`input`)

import type { ChatMessage, ChatRequest, ContentPart } from '../../../src/chat-request.ts'
import { invalidField } from '../../../src/errors.ts'
import { recordOrEmpty, type Fields } from '../../../src/json.ts'
import { readEncrypted } from '../../../src/wires/thoughts.ts'

/** @throws SluiceError `invalid_request`, with the path of a message that this API has no form for */
export function checkInput({ messages }: ChatRequest): void {
  for (const [i, { role, function_call }] of messages.entries())
    if (role === 'function' || (function_call !== undefined && function_call !== null))
      throw invalidField(
        'invalid_request',
        `messages[${i}]`,
        'cannot be expressed in the Responses API; use tool calls',
      )
}

export function toInput(messages: readonly ChatMessage[]): { instructions?: string; input: Fields[] } {
  const [first, ...others] = messages
  const instructions = first && instructionsOf(first)
  const custom = new Set<string>()
  // Not without an item: a request of instructions alone is refused.
  if (instructions === undefined || others.length === 0)
    return { input: messages.flatMap((message) => toItems(message, custom)) }
  return { instructions, input: others.flatMap((message) => toItems(message, custom)) }
}

function instructionsOf({ role, content }: ChatMessage): string | undefined {
  if (role !== 'system' && role !== 'developer') return undefined
  if (!Array.isArray(content)) return content ?? undefined
  const texts = content.map(({ type, text }) => (type === 'text' ? text : undefined))
  return texts.every((text) => text !== undefined) ? texts.join('\n\n') : undefined
}

/** @param custom ids of the calls of custom tools so far */
function toItems(message: ChatMessage, custom: Set<string>): Fields[] {
  const { role, content, tool_call_id: call_id = '' } = message
  if (role === 'assistant') return answerToItems(message, custom)
  const said = typeof content === 'string' ? content : toParts(content)
  if (role !== 'tool') return [{ type: 'message', role, content: said }]
  return [{ type: custom.has(call_id) ? 'custom_tool_call_output' : 'function_call_output', call_id, output: said }]
}

/** What an answer thought comes before what it said and called. */
function answerToItems({ content, refusal, reasoning_details, tool_calls = [] }: ChatMessage, custom: Set<string>) {
  const thoughts = readEncrypted(reasoning_details).map((encrypted_content) => ({
    type: 'reasoning',
    summary: [],
    encrypted_content,
  }))
  const given = typeof content === 'string' ? [{ type: 'text', text: content }] : (content ?? [])
  const said = [
    ...given.flatMap((part) => toOutputPart(part)),
    ...(typeof refusal === 'string' && refusal !== '' ? [{ type: 'refusal', refusal }] : []),
  ]
  const calls = tool_calls.flatMap(({ id: call_id, function: called, custom: own }): Fields[] => {
    if (called) return [{ type: 'function_call', call_id, name: called.name, arguments: called.arguments }]
    if (!own) return []
    custom.add(call_id)
    return [{ type: 'custom_tool_call', call_id, name: own.name, input: own.input }]
  })
  const message = said.length > 0 ? [{ type: 'message', role: 'assistant', content: said }] : []
  return [...thoughts, ...message, ...calls]
}

function toOutputPart({ type, text, refusal }: ContentPart): Fields[] {
  if (type === 'text' && text) return [{ type: 'output_text', text, annotations: [] }]
  return type === 'refusal' && typeof refusal === 'string' ? [{ type, refusal }] : []
}

function toParts(content: ChatMessage['content']): Fields[] {
  return Array.isArray(content) ? content.map(toInputPart) : []
}

/** Parts of other types are as they were sent. */
function toInputPart(part: ContentPart): Fields {
  const { type, text, image_url, file, input_audio } = part
  switch (type) {
    case 'text':
      return { type: 'input_text', text }
    case 'image_url':
      return { type: 'input_image', image_url: image_url?.url, detail: image_url?.detail ?? 'auto' }
    case 'file': {
      const { file_id, file_data, filename } = recordOrEmpty(file)
      return file_id === undefined ? { type: 'input_file', file_data, filename } : { type: 'input_file', file_id }
    }
    case 'input_audio':
      return { type, input_audio }
    default:
      return part
  }
}
