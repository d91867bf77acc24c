// Tools and the choice among them, converted to those of a chat request.

import { z } from 'zod'
import { boundedArray, boundedRecord } from '../../bounded-schema.ts'
import type { ChatInput } from '../../chat-request.ts'
import { withoutNulls, type Fields } from '../../json.ts'

type ChatTool = NonNullable<ChatInput['tools']>[number]

export interface Tool {
  type: string
  /** The tool of a chat request; absent for the tools that OpenAI runs itself. */
  chat?: ChatTool
  name?: string
  /** As it was sent. */
  given: Fields
}

const named = {
  type: z.string(),
  name: z.string().min(1),
  description: z.string().optional(),
}

const functionTool = z
  .looseObject({ ...named, parameters: boundedRecord(z.unknown()).optional(), strict: z.boolean().optional() })
  .transform(({ name, description, parameters, strict }): ChatTool => ({
    type: 'function',
    function: {
      name,
      ...(description !== undefined && { description }),
      ...(parameters && { parameters }),
      ...(strict !== undefined && { strict }),
    },
  }))

const customTool = z
  .looseObject({ ...named, format: z.looseObject({ type: z.string() }).optional() })
  .transform(({ name, description, format }): ChatTool => ({
    type: 'custom',
    custom: {
      name,
      ...(description !== undefined && { description }),
      ...(format && { format: toFormat(format) }),
    },
  }))

function toFormat({ type, ...grammar }: Fields & { type: string }): Fields {
  return type === 'grammar' ? { type, grammar } : { type, ...grammar }
}

const SCHEMAS: ReadonlyMap<string, z.ZodType<ChatTool>> = new Map(
  Object.entries({ function: functionTool, custom: customTool }),
)

const toolSchema = z.preprocess(withoutNulls, z.looseObject({ type: z.string() })).transform((given, context): Tool => {
  const schema = SCHEMAS.get(given.type)
  if (!schema) return { type: given.type, given }
  const parsed = schema.safeParse(given)
  if (parsed.success) return { type: given.type, name: String(given.name), chat: parsed.data, given }
  for (const { path, message } of parsed.error.issues) context.addIssue({ code: 'custom', path, message })
  return z.NEVER
})

export const toolsSchema = boundedArray(toolSchema)

export const toolChoiceSchema = z.union([
  z.string(),
  z.looseObject({
    type: z.string(),
    name: z.string().optional(),
    mode: z.string().optional(),
    tools: boundedArray(z.looseObject({ type: z.string(), name: z.string().optional() })).optional(),
  }),
])

export interface Choice {
  tools: Tool[]
  tool_choice?: ChatInput['tool_choice']
  /** Types of tools that are left out. */
  ignored: string[]
  /** Why the choice cannot be honoured. */
  fault?: string
}

/** Leaves out the tools that OpenAI runs itself. A choice that forces one of them cannot be honoured. */
export function chooseTools(given: readonly Tool[], choice: z.infer<typeof toolChoiceSchema> | undefined): Choice {
  const ours = given.filter(({ chat }) => chat)
  const hosted = [...new Set(given.filter(({ chat }) => !chat).map(({ type }) => type))]
  const withChoice = (tools: Tool[], mode: string | undefined): Choice => {
    const fault =
      mode === 'required' && tools.length === 0 && hosted.length > 0
        ? `forces a tool, and those of the type ${hosted.join(', ')} are not available here`
        : undefined
    return {
      tools,
      ignored: hosted,
      ...(mode !== undefined && tools.length > 0 && { tool_choice: mode }),
      ...(fault !== undefined && { fault }),
    }
  }
  if (choice === undefined || typeof choice === 'string') return withChoice(ours, choice)
  const { type, name = '', mode = 'auto', tools: allowed = [] } = choice
  switch (type) {
    case 'allowed_tools': {
      const names = new Set(allowed.map((tool) => `${tool.type} ${tool.name}`))
      return withChoice(
        ours.filter((tool) => names.has(`${tool.type} ${tool.name}`)),
        mode,
      )
    }
    case 'function':
    case 'custom':
      return { tools: ours, ignored: hosted, tool_choice: { type, [type]: { name } } }
    default:
      return {
        tools: ours,
        ignored: hosted,
        fault: `forces the tool ${JSON.stringify(type)}, which is not available here`,
      }
  }
}
