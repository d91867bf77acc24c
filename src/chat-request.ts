import { z } from 'zod'
import { boundedArray, boundedRecord } from './bounded-schema.ts'
import { invalidRequest, type SluiceError } from './errors.ts'
import { toFaults } from './faults.ts'
import { isRecord, withoutNulls, type Fields } from './json.ts'

/**
 * The common request: protocols convert their requests to it, and providers receive it. Names are OpenAI's. Types are
 * checked; ranges are not (they differ between models). Unknown fields pass through unchanged. An optional field that is
 * null is absent: clients send back messages as their SDK prints them, with `function_call: null` and the like.
 */
const contentPart = optionalNulls({
  type: z.string(),
  text: z.string().optional(),
  image_url: optionalNulls({ url: z.string(), detail: z.string().optional() }).optional(),
  file: z.preprocess(withoutNulls, z.unknown()).optional(),
}).superRefine((part, context) => {
  const field = part.type === 'text' ? 'text' : part.type === 'image_url' ? 'image_url' : undefined
  if (field && part[field] === undefined)
    context.addIssue({ code: 'custom', path: [field], message: `is required in a part of type "${part.type}"` })
})

function optionalNulls<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess(withoutNulls, z.looseObject(shape))
}

const toolCall = optionalNulls({
  id: z.string(),
  type: z.string().default('function'),
  function: optionalNulls({ name: z.string(), arguments: z.string() }).optional(),
  custom: optionalNulls({ name: z.string(), input: z.string() }).optional(),
})

const message = z
  .preprocess(
    withoutNullsButContent,
    z.looseObject({
      role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
      content: z.union([z.string(), boundedArray(contentPart)], 'expected a string or an array of parts').nullish(),
      name: z.string().optional(),
      tool_calls: boundedArray(toolCall).optional(),
      tool_call_id: z.string().optional(),
    }),
  )
  .superRefine((value, context) => {
    const isMissing = value.content === null || value.content === undefined
    // OpenAI's role `function` has null for a function without a result.
    if (isMissing && value.role !== 'assistant' && value.role !== 'function')
      context.addIssue({ code: 'custom', path: ['content'], message: `is required for the role "${value.role}"` })
  })

/** Null is what the content of an answer without text is: some servers want the field. */
function withoutNullsButContent(value: unknown): unknown {
  if (!isRecord(value) || value.content !== null) return withoutNulls(value)
  return Object.assign({}, withoutNulls(value), { content: null })
}

/** For lists that are checked where they are understood. */
function withoutNullsInItems(value: unknown): unknown {
  return Array.isArray(value) ? value.map(withoutNulls) : value
}

const tool = optionalNulls({
  type: z.string(),
  function: optionalNulls({
    name: z.string().min(1),
    description: z.string().optional(),
    parameters: boundedRecord(z.unknown()).optional(),
  }).optional(),
  custom: z.preprocess(withoutNulls, z.unknown()).optional(),
})

const count = z.number().int().positive()

/** LM Studio and its clients write -1 for no limit. */
const limit = z.preprocess((value) => (value === -1 ? undefined : value), count.nullish())

/** The model name is returned in a header, which must stay readable. */
export const modelName = z.string().min(1).max(256)

export const chatFields = z.looseObject({
  messages: boundedArray(message).refine((messages) => messages.length > 0, 'at least one message is required'),
  model: modelName.optional(),
  tools: boundedArray(tool).optional(),
  tool_choice: z.union([z.string(), z.looseObject({ type: z.string() })]).optional(),
  parallel_tool_calls: z.boolean().optional(),
  response_format: optionalNulls({
    type: z.string(),
    json_schema: z.preprocess(withoutNulls, z.unknown()).optional(),
  }).optional(),
  functions: z.preprocess(withoutNullsInItems, z.unknown()).optional(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  max_tokens: limit,
  max_completion_tokens: limit,
  stop: z.union([z.string(), boundedArray(z.string())]).nullish(),
  n: count.nullish(),
  seed: z.number().int().nullish(),
  frequency_penalty: z.number().nullish(),
  presence_penalty: z.number().nullish(),
  logit_bias: boundedRecord(z.number()).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().nullish(),
  reasoning_effort: z.string().nullish(),
  user: z.string().optional(),
  metadata: boundedRecord(z.unknown()).nullish(),
})

export const chatRequestSchema = z.preprocess(withoutNulls, chatFields)

/** A request of the Responses API as it was sent, for upstreams that speak it, too. */
export interface OriginalRequest {
  /** With its whole conversation as `input`. */
  readonly body: Fields
  /** Why no other upstream can serve it. */
  readonly refusal?: SluiceError
}

/** No client can send a symbol, and no provider that does not know this one sends it on. */
export const ORIGINAL = Symbol('original request')

export type ChatInput = z.infer<typeof chatRequestSchema> & { readonly [ORIGINAL]?: OriginalRequest }
export type ChatMessage = ChatInput['messages'][number]
export type ContentPart = z.infer<typeof contentPart>

/** @throws SluiceError `invalid_request` with the faults in the body. */
export function parseChat(body: unknown): ChatInput {
  if (isPlainChat(body)) return body
  const result = chatRequestSchema.safeParse(body)
  if (result.success) return result.data
  throw invalidRequest(toFaults(result.error.issues))
}

/** The fields of `chatFields` that most requests have, each with a check that is as strict. */
const PLAIN_FIELDS: ReadonlyMap<string, (value: unknown) => boolean> = new Map([
  ['messages', (value) => Array.isArray(value) && value.length > 0 && value.every(isPlainMessage)],
  ['model', (value) => typeof value === 'string' && value.length > 0 && value.length <= 256],
  ['temperature', isNumber],
  ['top_p', isNumber],
  ['max_tokens', isCount],
  ['max_completion_tokens', isCount],
  ['user', (value) => typeof value === 'string'],
])

const MESSAGE_FIELDS: ReadonlySet<string> = new Set(['role', 'content'])
const TEXT_ROLES: ReadonlySet<unknown> = new Set(['system', 'developer', 'user', 'assistant'])

/**
 * Whether a request is a few texts, which most are. The schema takes long for them, and returns them as they are.
 * Whatever is not sure to be valid is left to the schema.
 */
export function isPlainChat(body: unknown): body is ChatInput {
  if (!isRecord(body) || !Array.isArray(body.messages)) return false
  for (const name of Object.keys(body)) {
    const value = body[name]
    if (value === null || value === undefined) return false
    const isValid = PLAIN_FIELDS.get(name)
    if (isValid ? !isValid(value) : Object.hasOwn(chatFields.shape, name)) return false
  }
  return true
}

function isPlainMessage(value: unknown): boolean {
  return (
    isRecord(value) &&
    Object.keys(value).every((name) => MESSAGE_FIELDS.has(name)) &&
    TEXT_ROLES.has(value.role) &&
    typeof value.content === 'string'
  )
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value)
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}

/** A routed request: `model` is the provider's name for the model. */
export type ChatRequest = ChatInput & { model: string }
