import { z } from 'zod'
import { boundedRecord } from '../../bounded-schema.ts'
import type { ChatInput } from '../../chat-request.ts'

type Tool = NonNullable<ChatInput['tools']>[number]

const customTool = z
  .looseObject({
    type: z.string().nullish(),
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

const isCustom = z.object({ type: z.literal(['custom', null]).optional() })

/** A tool: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools */
export const toolSchema = z.unknown().transform((tool, context): Tool => {
  const parsed = (isCustom.safeParse(tool).success ? customTool : serverTool).safeParse(tool)
  if (parsed.success) return parsed.data
  for (const { path, message } of parsed.error.issues) context.addIssue({ code: 'custom', path, message })
  return z.NEVER
})

const serial = { disable_parallel_tool_use: z.boolean().optional() }

/** Converts a tool choice to a chat request's fields: parallel tool use has a field of its own. */
export const toolChoiceSchema = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('auto'), ...serial }),
    z.object({ type: z.literal('any'), ...serial }),
    z.object({ type: z.literal('tool'), name: z.string(), ...serial }),
    z.object({ type: z.literal('none') }),
  ])
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
