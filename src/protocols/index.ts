import { anthropicMessages } from './anthropic/messages.ts'
import { native } from './native/native.ts'
import { openaiChat } from './openai/chat.ts'
import { toErrorObject } from './openai/errors.ts'
import { ProtocolTable } from './protocol-table.ts'
import type { Protocol } from './protocol.ts'

/**
 * For paths that belong to no protocol. The member `error` is not of RFC 9457, which allows it: OpenAI's SDKs show its
 * message, and nothing of a problem without it.
 */
const unclaimed: Protocol = {
  ...native,
  renderError(error, requestId) {
    const problem = native.renderError(error, requestId)
    return { ...problem, body: { ...problem.body, error: toErrorObject(error, error.faults?.[0]?.path) } }
  },
}

/** Every protocol: a new one is a folder and a row. */
export const protocols = new ProtocolTable([native, openaiChat, anthropicMessages], unclaimed)
