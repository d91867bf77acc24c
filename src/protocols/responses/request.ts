import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { boundedRecord } from '../../bounded-schema.ts'
import { modelName, ORIGINAL, type ChatInput, type ChatMessage, type OriginalRequest } from '../../chat-request.ts'
import { invalidRequest } from '../../errors.ts'
import { toFaults } from '../../faults.ts'
import { recordOrEmpty, withoutNulls, type Fields } from '../../json.ts'
import type { EarlierStreams, ParsedRequest } from '../protocol.ts'
import { expandInput, type Conversation } from './conversation.ts'
import { itemsSchema, toMessages } from './input.ts'
import { CUSTOM_TOOLS, ECHO, REPEATED } from './response.ts'
import { chooseTools, toolChoiceSchema, toolsSchema, type Choice } from './tools.ts'

function optional<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess(withoutNulls, z.looseObject(shape)).optional()
}

const bodySchema = z.preprocess(
  withoutNulls,
  z
    .looseObject({
      model: modelName,
      // Its items have a schema of their own: references among them are replaced first.
      input: z.unknown().optional(),
      instructions: z.string().optional(),
      stream: z.boolean().optional(),
      background: z.boolean().optional(),
      store: z.boolean().optional(),
      previous_response_id: z.string().optional(),
      max_output_tokens: z.number().int().positive().optional(),
      temperature: z.number().optional(),
      top_p: z.number().optional(),
      parallel_tool_calls: z.boolean().optional(),
      tools: toolsSchema.optional(),
      tool_choice: toolChoiceSchema.optional(),
      text: optional({
        format: optional({
          type: z.string(),
          name: z.string().optional(),
          schema: boundedRecord(z.unknown()).optional(),
        }),
        verbosity: z.string().optional(),
      }),
      reasoning: optional({ effort: z.string().optional() }),
      metadata: boundedRecord(z.unknown()).optional(),
      user: z.string().optional(),
    })
    .superRefine((body, context) => {
      for (const name of ['conversation', 'prompt', 'messages'])
        if (name in body) context.addIssue({ code: 'custom', path: [name], message: 'is not supported here' })
    }),
)

type Body = z.infer<typeof bodySchema>

/** Parameters with a meaning at OpenAI only, which the response names, and the values that ask for nothing. */
const ADVISORY: Fields = {
  context_management: undefined,
  max_tool_calls: undefined,
  moderation: undefined,
  top_logprobs: 0,
  truncation: 'disabled',
}

/** Parameters that are not sent on: they say how OpenAI stores and sends the response, or only describe it. */
const UNSENT = [
  'include',
  'client_metadata',
  'stream_options',
  'metadata',
  'store',
  'background',
  'previous_response_id',
]

/**
 * Converts the body of `POST /v1/responses` to a chat request. Other parameters keep their names: Chat Completions has
 * the same (`service_tier`, `prompt_cache_key`, …).
 *
 * @throws SluiceError `invalid_request` with the faults and their paths in this body
 * https://platform.openai.com/docs/api-reference/responses/create
 */
export function parseResponse(
  given: unknown,
  _: IncomingHttpHeaders,
  earlier: EarlierStreams = new Map(),
): ParsedRequest {
  const parsed = bodySchema.safeParse(given)
  if (!parsed.success) throw invalidRequest(toFaults(parsed.error.issues))
  const body = parsed.data
  const conversation = expandInput(body, earlier)
  const { messages, dropped } = readMessages(body, conversation)
  const choice = chooseTools(body.tools ?? [], body.tool_choice)
  const advisory = Object.keys(ADVISORY).filter((name) => body[name] !== undefined && body[name] !== ADVISORY[name])
  const { stream = false, background = false, store = true } = body
  return {
    input: Object.assign(toInput(body, messages, choice), {
      [ORIGINAL]: toOriginal(given, body, conversation, choice),
    }),
    mode: stream ? 'stream' : background ? 'background' : 'whole',
    detached: background,
    ignored: [...advisory, ...toNames('tools', choice.ignored), ...toNames('input', dropped)],
    kept: store ? JSON.stringify(conversation.all) : undefined,
    labels: { [ECHO]: toEcho(body, choice), [CUSTOM_TOOLS]: customNames(choice) },
  }
}

/** A choice that forces a tool of OpenAI's own leads only to upstreams that speak this API. */
function toOriginal(given: unknown, body: Body, { all }: Conversation, { fault }: Choice): OriginalRequest {
  const { tools } = recordOrEmpty(given)
  return {
    body: Object.assign({}, body, { input: all }, body.tools && { tools }),
    ...(fault !== undefined && { refusal: invalidRequest([{ path: 'tool_choice', message: fault }]) }),
  }
}

function readMessages({ instructions }: Body, { before, own }: Conversation) {
  const items = itemsSchema.safeParse(own)
  if (!items.success)
    throw invalidRequest(toFaults(items.error.issues.map((issue) => ({ ...issue, path: ['input', ...issue.path] }))))
  const read = toMessages([...itemsSchema.parse(before), ...items.data])
  // Not kept with the conversation: the next response has instructions of its own.
  const system: ChatMessage[] = instructions === undefined ? [] : [{ role: 'system', content: instructions }]
  const messages = [...system, ...read.messages]
  if (messages.length > 0) return { ...read, messages }
  throw invalidRequest([{ path: 'input', message: 'at least one message is required' }])
}

function toInput(body: Body, messages: ChatMessage[], { tools, tool_choice }: Choice): ChatInput {
  const { input: _, stream: _stream, instructions: _instructions, tools: _tools, tool_choice: _choice, ...more } = body
  const { max_output_tokens, text, reasoning, parallel_tool_calls, ...rest } = more
  for (const name of [...UNSENT, ...Object.keys(ADVISORY)]) delete rest[name]
  const { format, verbosity } = text ?? {}
  return Object.assign(rest, {
    messages,
    ...(tools.length > 0 && { tools: tools.flatMap(({ chat }) => chat ?? []) }),
    ...(tools.length > 0 && parallel_tool_calls !== undefined && { parallel_tool_calls }),
    ...(tool_choice !== undefined && { tool_choice }),
    ...(max_output_tokens !== undefined && { max_tokens: max_output_tokens }),
    ...(reasoning?.effort !== undefined && { reasoning_effort: reasoning.effort }),
    ...(verbosity !== undefined && { verbosity }),
    ...(format && format.type !== 'text' && { response_format: toResponseFormat(format) }),
  })
}

function toResponseFormat({ type, ...json_schema }: Fields & { type: string }): ChatInput['response_format'] {
  return type === 'json_schema' ? { type, json_schema } : { type }
}

/** Characters of the parameters that a response repeats: each reader gets them three times, and a prompt may be huge. */
const MAX_ECHO = 16 * 1024

/** The parameters as the response repeats them, the small ones first. */
function toEcho(body: Body, { tools }: Choice): string {
  const fields = { ...body, tools: tools.map(({ given }) => given) }
  const echo = Object.entries(fields)
    .filter(([name, value]) => REPEATED.has(name) && value !== undefined)
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
    .toSorted((a, b) => a.length - b.length)
  let left = MAX_ECHO
  return `{${echo.filter((each) => (left -= each.length) >= 0).join()}}`
}

function customNames({ tools }: Choice): string {
  return JSON.stringify(tools.flatMap(({ type, name }) => (type === 'custom' ? (name ?? []) : [])))
}

/** Names for a header: clients choose the types. */
function toNames(place: string, types: readonly string[]): string[] {
  const names = types.map((type) => (/^[\w.-]{1,64}$/.test(type) ? `${place}.${type}` : place))
  return [...new Set(names)].slice(0, 20)
}
