// Earlier messages as a server of Chat Completions wants them: its own fields back, in an order that it accepts.

import type { ChatMessage, ChatRequest } from '../../src/chat-request.ts'
import { recordOrEmpty } from '../../src/json.ts'
import { toCallId, toKnownCall, toKnownMessage } from './known-fields.ts'
import { toChatContent } from './parts.ts'
import { withReasoning } from './reasoning.ts'
import type { Server } from './servers.ts'

type ToolCall = NonNullable<ChatMessage['tool_calls']>[number]

/** Removes what only Anthropic reads and does not affect the answer, and what Sluice adds to its answers. */
export function toConversation({ messages, model }: ChatRequest, server: Server): ChatMessage[] {
  const chat = messages
    .map((message, i) => toChatMessage(message, `messages[${i}]`, server, model))
    .filter(saysSomething)
  const placed = placeResults(joinAnswers(chat)).map(withContent)
  return server.openai ? placed.map(toKnownMessage) : placed
}

const OTHER_CONTENT = [
  'refusal',
  'function_call',
  'audio',
  'reasoning',
  'reasoning_content',
  'reasoning_details',
] as const

/** An answer of thoughts that the server cannot read says nothing to it, and is refused. */
function saysSomething(message: ChatMessage): boolean {
  const { role, content, tool_calls } = message
  return (
    role !== 'assistant' ||
    Boolean(content?.length) ||
    tool_calls !== undefined ||
    OTHER_CONTENT.some((name) => message[name] !== undefined)
  )
}

/** Null is for answers with calls alone. */
function withContent(message: ChatMessage): ChatMessage {
  const { role, content, tool_calls, function_call, audio } = message
  const isComplete = role !== 'assistant' || (content !== null && content !== undefined)
  if (isComplete || tool_calls || function_call !== undefined || audio !== undefined) return message
  return { ...message, content: '' }
}

function toChatMessage(message: ChatMessage, path: string, server: Server, model: string): ChatMessage {
  const { cache_control: _, is_error: _error, toolset_name: _toolset, ...kept } = message
  const {
    content: given,
    tool_calls,
    tool_call_id,
    ...rest
  } = message.role === 'assistant' ? withReasoning(kept, server, model) : kept
  const content = toChatContent(message, `${path}.content`, server)
  return {
    ...rest,
    ...(given !== undefined && { content }),
    ...(tool_calls?.length && { tool_calls: tool_calls.map((call) => toChatCall(call, server)) }),
    ...(tool_call_id !== undefined && { tool_call_id: toCallId(tool_call_id, server.callIds) }),
  }
}

/** `extra` is what older versions of Sluice called the fields of a call that they carried. */
function toChatCall(call: ToolCall, server: Server): ToolCall {
  const { cache_control: _, caller: _caller, toolset_name: _toolset, carried, extra, ...rest } = call
  const own = recordOrEmpty(recordOrEmpty(carried).openai).call
  const id = toCallId(rest.id, server.callIds)
  if (server.openai) return toKnownCall({ ...rest, id })
  const restored: ToolCall = { ...recordOrEmpty(extra), ...recordOrEmpty(own), ...rest, id }
  if (server.signatures) return restored
  const { extra_content: _signature, ...unsigned } = restored
  return { ...unsigned, id, type: rest.type }
}

/** Joins an answer to the one before it if that one has calls, since their results must follow at once. */
function joinAnswers(messages: readonly ChatMessage[]): ChatMessage[] {
  const joined: ChatMessage[] = []
  let run: ChatMessage[] = []
  for (const message of messages) {
    if (message.role === 'assistant' && (run.length > 0 || message.tool_calls?.length)) {
      run.push(message)
      continue
    }
    if (run.length > 0) joined.push(joinRun(run))
    run = []
    joined.push(message)
  }
  if (run.length > 0) joined.push(joinRun(run))
  return joined
}

function joinRun(run: readonly ChatMessage[]): ChatMessage {
  const [only] = run
  if (only && run.length === 1) return only
  const joined: ChatMessage = Object.assign({ role: 'assistant' as const }, ...run)
  joined.content = joinContent(run.map(({ content }) => content))
  joined.tool_calls = run.flatMap(({ tool_calls = [] }) => tool_calls)
  for (const name of ['reasoning_content', 'reasoning', 'refusal', 'reasoning_details'] as const) {
    const value = joinFields(run.map((message) => message[name]))
    if (value !== undefined) joined[name] = value
  }
  return joined
}

function joinContent(contents: readonly ChatMessage['content'][]): ChatMessage['content'] {
  const given = contents.filter((content) => content?.length)
  if (given.length === 0) return null
  if (given.every((content) => typeof content === 'string')) return given.join('')
  return given.flatMap((content) => (typeof content === 'string' ? [{ type: 'text', text: content }] : (content ?? [])))
}

function joinFields(values: readonly unknown[]): unknown {
  const given = values.filter((value) => value !== undefined)
  if (given.length > 0 && given.every((value) => typeof value === 'string')) return given.join('')
  return given.every((value) => Array.isArray(value)) && given.length > 0 ? given.flat() : given.at(-1)
}

/** Puts the results of an answer's calls right after it, before whatever else the user says in that turn. */
function placeResults(messages: readonly ChatMessage[]): ChatMessage[] {
  const placed: ChatMessage[] = []
  let calls: ReadonlySet<unknown> = new Set()
  let others: ChatMessage[] = []
  for (const message of messages) {
    if (message.role === 'tool' && calls.has(message.tool_call_id)) {
      const { result, media } = withoutMedia(message)
      placed.push(result)
      if (media) others.push(media)
      continue
    }
    if (message.role === 'assistant') {
      placed.push(...others)
      others = []
      calls = new Set(message.tool_calls?.map(({ id }) => id))
      placed.push(message)
    } else others.push(message)
  }
  placed.push(...others)
  return placed
}

const MEDIA: ReadonlySet<string> = new Set(['image_url', 'file', 'input_audio'])

/** The API takes text alone as a result: images and files of a result become a message of the user's. */
function withoutMedia(message: ChatMessage): { result: ChatMessage; media?: ChatMessage } {
  const { content } = message
  if (!Array.isArray(content) || !content.some(({ type }) => MEDIA.has(type))) return { result: message }
  const media = content.filter(({ type }) => MEDIA.has(type))
  const rest = content.filter(({ type }) => !MEDIA.has(type))
  const [only] = rest
  const text = rest.length === 1 && only?.type === 'text' ? only.text : undefined
  return {
    result: { ...message, content: text ?? (rest.length > 0 ? rest : 'The result is in a message below.') },
    media: { role: 'user', content: [{ type: 'text', text: `Result of ${message.tool_call_id}:` }, ...media] },
  }
}
