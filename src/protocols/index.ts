import { anthropicMessages } from './anthropic/messages.ts'
import { openaiResponses } from './responses/responses.ts'
import { native } from './native/native.ts'
import { openaiChat, toErrorObject } from './openai/chat.ts'
import { uiMessages } from './ui/ui-messages.ts'
import { ProtocolTable, type Protocol } from './protocol.ts'

/**
 * For paths that belong to no protocol. RFC 9457 allows the extra member `error`; OpenAI's SDKs read the message from
 * it and ignore the rest of a problem.
 */
const unclaimed: Protocol = {
  ...native,
  renderError(error, requestId) {
    const problem = native.renderError(error, requestId)
    return { ...problem, body: { ...problem.body, error: toErrorObject(error, undefined, error.faults?.[0]?.path) } }
  },
}

/** All protocols. To add one, add a folder and a row here. */
export const protocols = new ProtocolTable(
  [native, openaiChat, openaiResponses, anthropicMessages, uiMessages],
  unclaimed,
)
