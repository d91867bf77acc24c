// The `Response` object: https://platform.openai.com/docs/api-reference/responses/object

import { failureOf } from '../../errors.ts'
import { parseJson, recordOrEmpty, type Fields } from '../../json.ts'
import { reportedUsage } from '../reported-usage.ts'
import type { Done, Usage } from '../../stream/events.ts'
import type { StreamInfo } from '../../stream/stream-log.ts'
import { recordOf } from '../../wires/fields.ts'
import { toErrorObject } from '../openai/chat.ts'

export type ResponseStatus = 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled'

/** The label that has the parameters of the request, as the response repeats them. */
export const ECHO = 'request'

/** The label that has the names of the custom tools, as a list. */
export const CUSTOM_TOOLS = 'custom_tools'

/** What the end of the response says. */
const UNKNOWN_YET: Fields = { error: null, incomplete_details: null, output: [], usage: null }

/** The parameters of a request without any. */
const DEFAULTS: Fields = {
  background: false,
  instructions: null,
  max_output_tokens: null,
  max_tool_calls: null,
  metadata: {},
  parallel_tool_calls: true,
  previous_response_id: null,
  reasoning: { effort: null, summary: null },
  service_tier: 'default',
  store: true,
  temperature: null,
  text: { format: { type: 'text' } },
  tool_choice: 'auto',
  tools: [],
  top_logprobs: 0,
  top_p: null,
  truncation: 'disabled',
  user: null,
}

/** Parameters that a response repeats: a field of any other name could pass for the response's own. */
export const REPEATED: ReadonlySet<string> = new Set([
  ...Object.keys(DEFAULTS),
  'context_management',
  'model',
  'moderation',
  'prompt_cache_key',
  'prompt_cache_retention',
  'safety_identifier',
])

const STREAM_PREFIX = 'str_'
const PREFIX = 'resp_'

/** The id of a stream without its prefix: the ids of its response and of its items are made of it. */
export function toKey(streamId: string): string {
  return streamId.startsWith(STREAM_PREFIX) ? streamId.slice(STREAM_PREFIX.length) : streamId
}

export function toResponseId(streamId: string): string {
  return PREFIX + toKey(streamId)
}

/** Undefined for what is no id of a response. */
export function toStreamId(responseId: string): string | undefined {
  return responseId.startsWith(PREFIX) ? STREAM_PREFIX + responseId.slice(PREFIX.length) : undefined
}

/** The response without its output. */
export function toResponse(info: StreamInfo, status: ResponseStatus, model = info.model): Fields {
  return {
    id: toResponseId(info.id),
    object: 'response',
    created_at: Math.floor(info.created / 1000),
    status,
    ...UNKNOWN_YET,
    ...DEFAULTS,
    ...readEcho(info),
    model,
  }
}

export function readCustomTools({ labels }: StreamInfo): string[] {
  const names = parseJson(labels?.[CUSTOM_TOOLS] ?? '[]')
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
}

function readEcho({ labels }: StreamInfo): Fields {
  const echo = labels?.[ECHO]
  return echo === undefined ? {} : recordOrEmpty(parseJson(echo))
}

/** What the end of a stream adds to the response. */
export function toEnd(done: Done): Fields & { status: ResponseStatus } {
  // Some SDKs refuse a complete answer without counts.
  const usage = toUsage(reportedUsage(done) ?? NO_USAGE)
  const spent = done.usage && done.usage.total_tokens > 0 ? toUsage(done.usage) : null
  switch (done.finish_reason) {
    case 'stop':
    case 'tool_calls':
      return { status: 'completed', usage }
    case 'length':
      return { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, usage }
    case 'content_filter':
      return { status: 'incomplete', incomplete_details: { reason: 'content_filter' }, usage }
    case 'cancelled':
      return { status: 'cancelled', usage: spent }
    case 'error': {
      const { code, message } = toFailure(done)
      return { status: 'failed', error: { code, message }, usage: spent }
    }
  }
}

/** The upstream's code where it speaks OpenAI's words, since clients switch on it. */
export function toFailure(done: Done): { code: string; message: string; param: unknown; type: unknown } {
  const { code, message, param, type } = toErrorObject(failureOf(done), done.carried)
  return {
    code: code === 'upstream_rate_limited' ? 'rate_limit_exceeded' : typeof code === 'string' ? code : 'server_error',
    message: String(message),
    param: param ?? null,
    type,
  }
}

const NO_USAGE: Usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }

function toUsage(usage: Usage): Fields {
  const { prompt_tokens, completion_tokens, total_tokens, ...details } = usage
  const cached = details.cache_read_input_tokens ?? recordOf(details.prompt_tokens_details)?.cached_tokens
  const reasoning = recordOf(details.completion_tokens_details)?.reasoning_tokens
  return {
    input_tokens: prompt_tokens,
    input_tokens_details: { cached_tokens: typeof cached === 'number' ? Math.min(cached, prompt_tokens) : 0 },
    output_tokens: completion_tokens,
    output_tokens_details: { reasoning_tokens: typeof reasoning === 'number' ? reasoning : 0 },
    total_tokens,
    ...(details.estimated === true && { estimated: true }),
  }
}
