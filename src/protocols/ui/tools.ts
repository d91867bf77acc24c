// The tools that a page offers, in the forms in which pages write them.

import { z } from 'zod'
import { boundedArray, boundedRecord } from '../../bounded-schema.ts'
import type { ChatInput } from '../../chat-request.ts'
import { isRecord, withoutNulls } from '../../json.ts'
import { read } from '../anthropic/turns.ts'

type Tool = NonNullable<ChatInput['tools']>[number]

const schema = boundedRecord(z.unknown())

const definition = {
  description: z.string().optional(),
  inputSchema: schema.optional(),
  parameters: schema.optional(),
  strict: z.boolean().optional(),
}

const unnamed = z.preprocess(withoutNulls, z.object(definition))
const named = z
  .preprocess(withoutNulls, z.object({ name: z.string().min(1), ...definition }))
  .transform(({ name, ...tool }) => toTool(name, tool))

/** A tool as Chat Completions has it, or one of the provider itself: both stay as they are. */
const asItIs = z.looseObject({ type: z.string() })

const listed = z.unknown().transform((tool, context): Tool => {
  if (isRecord(tool) && typeof tool.type === 'string' && (tool.type !== 'function' || 'function' in tool))
    return read(asItIs, tool, context)
  return read(named, tool, context)
})

const byName = boundedRecord(unnamed).transform((tools) =>
  Object.entries(tools).map(([name, tool]) => toTool(name, tool)),
)

/** A list, or the tools by their names, as `streamText` takes them. */
export const toolsSchema = z.unknown().transform((tools, context): Tool[] => {
  return read<Tool[]>(Array.isArray(tools) ? boundedArray(listed) : byName, tools, context)
})

function toTool(name: string, { description, inputSchema, parameters, strict }: z.infer<typeof unnamed>): Tool {
  const given = inputSchema ?? parameters
  // `jsonSchema()` of the AI SDK wraps the schema.
  const input = isRecord(given?.jsonSchema) ? given.jsonSchema : given
  return {
    type: 'function',
    function: {
      name,
      ...(description !== undefined && { description }),
      ...(input && { parameters: input }),
      ...(strict !== undefined && { strict }),
    },
  }
}

/** Of the AI SDK, or of Chat Completions. */
export const toolChoiceSchema = z.union([
  z.string(),
  z
    .object({ type: z.literal('tool'), toolName: z.string() })
    .transform(({ toolName }) => ({ type: 'function', function: { name: toolName } })),
  z.looseObject({ type: z.string() }),
])
