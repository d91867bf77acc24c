import { recordOrEmpty, type Fields } from '../../json.ts'
import type { Done, Usage } from '../../stream/events.ts'
import type { StreamInfo } from '../../stream/stream-log.ts'

/** What the message's metadata say of its end: the model, and the tokens under the AI SDK's names. */
export function toMetadata({ model, usage }: Done, info: StreamInfo): Fields {
  return { model: model ?? info.model, ...(usage && { usage: toUsage(usage) }) }
}

function toUsage(usage: Usage): Fields {
  const { prompt_tokens, completion_tokens, total_tokens, estimated } = usage
  const { prompt_tokens_details, completion_tokens_details } = usage
  const { cached_tokens } = recordOrEmpty(prompt_tokens_details)
  const { reasoning_tokens } = recordOrEmpty(completion_tokens_details)
  return {
    inputTokens: prompt_tokens,
    outputTokens: completion_tokens,
    totalTokens: total_tokens,
    ...(typeof cached_tokens === 'number' && { cachedInputTokens: cached_tokens }),
    ...(typeof reasoning_tokens === 'number' && { reasoningTokens: reasoning_tokens }),
    ...(estimated && { estimated }),
  }
}
