import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { boundedArray } from '../../bounded-schema.ts'
import { parseChat, type ChatInput } from '../../chat-request.ts'
import { invalidRequest } from '../../errors.ts'
import { toFaults } from '../../faults.ts'
import { withoutNulls, type Fields } from '../../json.ts'
import { EVENT_STREAM, JSON_TYPE, negotiate } from '../../media-types.ts'
import type { ParsedRequest } from '../protocol.ts'
import { uiMessageSchema, type UiMessage } from './conversation.ts'
import { toolChoiceSchema, toolsSchema } from './tools.ts'

/** Chats and messages are named by the page; their names are kept with the stream. */
const MAX_NAME = 256

const bodySchema = z.preprocess(
  withoutNulls,
  z.looseObject({
    id: z.string().max(MAX_NAME).optional(),
    messages: boundedArray(uiMessageSchema).refine(
      (messages) => messages.length > 0,
      'at least one message is required',
    ),
    trigger: z.string().optional(),
    messageId: z.string().optional(),
    system: z.string().optional(),
    tools: toolsSchema.optional(),
    toolChoice: toolChoiceSchema.optional(),
    n: z.literal(1, 'a UI message has one answer').optional(),
  }),
)

/** Settings under the AI SDK's names. */
const NAMES: readonly (readonly [ours: string, its: string])[] = [
  ['max_tokens', 'maxOutputTokens'],
  ['top_p', 'topP'],
  ['presence_penalty', 'presencePenalty'],
  ['frequency_penalty', 'frequencyPenalty'],
  ['stop', 'stopSequences'],
  ['tool_choice', 'toolChoice'],
]

/**
 * The body of `useChat`'s transport: the chat, and whatever the page adds to it. Fields that are not of the transport
 * are parameters of the request, as in Chat Completions.
 *
 * @throws SluiceError `invalid_request` with the faults and their paths in this body
 */
export function parseUiChat(body: unknown, { accept = '' }: IncomingHttpHeaders): ParsedRequest {
  const parsed = bodySchema.safeParse(body)
  if (!parsed.success) throw invalidRequest(toFaults(parsed.error.issues))
  const { id, messages, trigger: _trigger, messageId: _messageId, ...rest } = parsed.data
  return {
    input: toInput(messages, rest),
    mode: negotiate(accept, EVENT_STREAM, JSON_TYPE) === JSON_TYPE ? 'whole' : 'stream',
    ...(id !== undefined && id !== '' && { alias: aliasOf(id) }),
    labels: toLabels(messages.at(-1)),
  }
}

/** The name of a chat in the directory, which it shares with the names of other protocols. */
export function aliasOf(chat: string): string {
  return `ui-chat:${chat}`
}

function toInput(
  messages: readonly UiMessage[],
  { system, ...settings }: Fields & { system?: string | undefined },
): ChatInput {
  const request: Fields = Object.assign({}, settings, {
    messages: [
      ...(system === undefined ? [] : [{ role: 'system', content: system }]),
      ...messages.flatMap((message) => message.messages),
    ],
  })
  for (const [ours, its] of NAMES) {
    if (request[its] === undefined) continue
    request[ours] = request[its]
    delete request[its]
  }
  return parseChat(request)
}

/** The answer to the results of tools continues the message with the calls: for the page it is the same message. */
function toLabels(last: UiMessage | undefined): Record<string, string> {
  if (last?.role !== 'assistant' || last.id === '' || last.id.length > MAX_NAME) return {}
  return { message_id: last.id }
}
