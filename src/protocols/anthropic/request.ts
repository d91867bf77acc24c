import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { boundedRecord, boundedArray } from '../../bounded-schema.ts'
import { modelName, chatFields, type ChatInput } from '../../chat-request.ts'
import { invalidRequest } from '../../errors.ts'
import { toFaults } from '../../faults.ts'
import { withoutNulls, type Fields } from '../../json.ts'
import { canBeStrict } from './strict-schema.ts'
import { messageSchema, systemSchema } from './turns.ts'
import type { ParsedRequest } from '../protocol.ts'

type Tool = NonNullable<ChatInput['tools']>[number]

const customTool = z
  .looseObject({
    type: z.string().optional(),
    name: z.string().min(1),
    description: z.string().optional(),
    input_schema: boundedRecord(z.unknown()),
    strict: z.boolean().optional(),
  })
  .transform(({ type: _, name, description, input_schema, strict, ...rest }): Tool => ({
    ...rest,
    type: 'function',
    function: {
      name,
      ...(description !== undefined && { description }),
      parameters: input_schema,
      ...(strict !== undefined && { strict }),
    },
  }))

/** Anthropic's own tools (`web_search_20250305`, …) stay unchanged. */
const serverTool = z.looseObject({ type: z.string() })

const isCustom = z.object({ type: z.literal('custom').optional() })

/** A tool: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools */
const toolSchema = z.preprocess(withoutNulls, z.unknown()).transform((tool, context): Tool => {
  const parsed = (isCustom.safeParse(tool).success ? customTool : serverTool).safeParse(tool)
  if (parsed.success) return parsed.data
  for (const { path, message } of parsed.error.issues) context.addIssue({ code: 'custom', path, message })
  return z.NEVER
})

const serial = { disable_parallel_tool_use: z.boolean().optional() }

/** Converts a tool choice to a chat request's fields: parallel tool use has a field of its own. */
const toolChoiceSchema = z
  .preprocess(
    withoutNulls,
    z.discriminatedUnion('type', [
      z.object({ type: z.literal('auto'), ...serial }),
      z.object({ type: z.literal('any'), ...serial }),
      z.object({ type: z.literal('tool'), name: z.string(), ...serial }),
      z.object({ type: z.literal('none') }),
    ]),
  )
  .transform((choice): Pick<ChatInput, 'tool_choice' | 'parallel_tool_calls'> => {
    const parallel = 'disable_parallel_tool_use' in choice && choice.disable_parallel_tool_use === true
    return { tool_choice: toToolChoice(choice), ...(parallel && { parallel_tool_calls: false }) }
  })

type ToolChoice = { type: 'auto' | 'any' | 'none' } | { type: 'tool'; name: string }

function toToolChoice(choice: ToolChoice): NonNullable<ChatInput['tool_choice']> {
  switch (choice.type) {
    case 'auto':
    case 'none':
      return choice.type
    case 'any':
      return 'required'
    case 'tool':
      return { type: 'function', function: { name: choice.name } }
  }
}

const outputFormat = z.preprocess(
  withoutNulls,
  z.looseObject({ type: z.string(), schema: boundedRecord(z.unknown()).optional() }),
)

const own = {
  model: modelName,
  messages: boundedArray(messageSchema).refine((messages) => messages.length > 0, 'at least one message is required'),
  max_tokens: z.number().int().nonnegative(),
  system: systemSchema.optional(),
  stop_sequences: boundedArray(z.string()).optional(),
  stream: z.boolean().optional(),
  temperature: z.number().optional(),
  top_p: z.number().optional(),
  top_k: z.number().int().optional(),
  thinking: z.preprocess(withoutNulls, z.looseObject({ type: z.string() })).optional(),
  tools: boundedArray(toolSchema).optional(),
  tool_choice: toolChoiceSchema.optional(),
  metadata: z.preprocess(withoutNulls, z.looseObject({ user_id: z.string().optional() })).optional(),
  output_config: z
    .preprocess(
      withoutNulls,
      z.looseObject({
        effort: z.string().optional(),
        format: outputFormat.optional(),
      }),
    )
    .optional(),
  /** What `output_config.format` was called in beta. */
  output_format: outputFormat.optional(),
}

/** Parameters of a chat request that the Messages API does not have. */
const foreign = Object.keys(chatFields.shape).filter((name) => !Object.hasOwn(own, name))

function refuseForeign(body: Fields, context: z.RefinementCtx): void {
  for (const name of foreign)
    if (name in body)
      context.addIssue({ code: 'custom', path: [name], message: 'is not a parameter of the Messages API' })
}

const bodySchema = z.preprocess(withoutNulls, z.looseObject(own).superRefine(refuseForeign))

/** Without a limit of the answer: there is none. */
const countSchema = z.preprocess(
  withoutNulls,
  z.looseObject({ ...own, max_tokens: own.max_tokens.optional() }).superRefine(refuseForeign),
)

/**
 * Converts the body of `POST /v1/messages` to a chat request. Fields without an OpenAI name keep Anthropic's, so that
 * the `anthropic` provider can send them on.
 *
 * @throws SluiceError `invalid_request` with the faults and their paths in this body
 * https://platform.claude.com/docs/en/api/messages
 */
export function parseMessages(body: unknown, headers: IncomingHttpHeaders): ParsedRequest {
  const parsed = bodySchema.safeParse(body)
  if (!parsed.success) throw invalidRequest(toFaults(parsed.error.issues))
  return { input: toInput(parsed.data), mode: parsed.data.stream ? 'stream' : 'whole', forward: toForward(headers) }
}

/** https://platform.claude.com/docs/en/api/messages-count-tokens @throws as `parseMessages` */
export function parseCountRequest(body: unknown, headers: IncomingHttpHeaders) {
  const parsed = countSchema.safeParse(body)
  if (!parsed.success) throw invalidRequest(toFaults(parsed.error.issues))
  return { input: toInput(parsed.data), forward: toForward(headers) }
}

type Body = z.infer<typeof countSchema>

function toInput(body: Body): ChatInput {
  const {
    stream: _,
    messages,
    system,
    stop_sequences,
    tools,
    tool_choice,
    metadata,
    output_config,
    output_format,
    ...rest
  } = body
  // No further spread: with tens of thousands of fields, each copy takes 20 ms.
  return Object.assign(rest, {
    messages: [...(system === undefined ? [] : [system]), ...messages.flat()],
    ...(stop_sequences && { stop: stop_sequences }),
    ...(tools && { tools }),
    ...tool_choice,
    ...toUser(metadata),
    ...toOutput(output_config, output_format),
  })
}

function toUser(metadata: Body['metadata']): Partial<ChatInput> {
  const { user_id, ...rest } = metadata ?? {}
  return {
    ...(typeof user_id === 'string' && { user: user_id }),
    ...(Object.keys(rest).length > 0 && { metadata: rest }),
  }
}

function toOutput(output_config: Body['output_config'], beta: Body['output_format']): Partial<ChatInput> {
  const { effort, format = beta, ...rest } = output_config ?? {}
  const { schema } = format ?? {}
  const kept = { ...rest, ...(format && !schema && { format }) }
  return {
    ...(typeof effort === 'string' && { reasoning_effort: effort }),
    // OpenAI requires a name; it is not visible to the caller and hardly matters to the model.
    ...(schema && {
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'answer', schema, strict: canBeStrict(schema) },
      },
    }),
    ...(Object.keys(kept).length > 0 && { output_config: kept }),
  }
}

const FORWARDED = ['anthropic-version', 'anthropic-beta']

function toForward(headers: IncomingHttpHeaders): Record<string, string> {
  const forward: Record<string, string> = {}
  for (const name of FORWARDED) {
    const value = headers[name]
    if (typeof value === 'string') forward[name] = value
  }
  return forward
}
