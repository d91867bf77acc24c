import { encodeEvent } from '../sse/encode.ts'
import { renderAnswer } from './anthropic-answer.ts'
import { renderError } from './anthropic-errors.ts'
import { parseMessages } from './anthropic-request.ts'
import { messageEncoder } from './anthropic-stream.ts'
import type { Protocol } from './protocol.ts'

/** Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages */
export const anthropicMessages: Protocol = {
  name: 'anthropic-messages',
  heartbeat: encodeEvent({ event: 'ping', data: { type: 'ping' } }),
  reconnects: false,
  parse: parseMessages,
  encoder: messageEncoder,
  renderAnswer,
  renderError,
}
