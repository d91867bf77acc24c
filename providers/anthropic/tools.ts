// Tools and the choice among them in the words of the Messages API.

import { z } from 'zod'
import type { ChatRequest } from '../../src/chat-request.ts'
import { isRecord, recordOrEmpty, type Fields } from '../../src/json.ts'
import { inexpressible } from './content.ts'
import { hasFunctions, toToolChoice as toFunctionChoice, toTools as joinTools } from './legacy-functions.ts'

type Tool = NonNullable<ChatRequest['tools']>[number]

/** Without tools there is nothing to choose from, and the API refuses a choice. */
export function toTools(request: ChatRequest): Fields {
  const tools = joinTools(request)
  if (!tools) throw inexpressible('functions')
  const choice = toToolChoice(request)
  if (tools.length > 0) return { tools: tools.map((tool, i) => toTool(tool, `tools[${i}]`)), ...choice }
  return hasToolsElsewhere(request) ? choice : {}
}

/** Anthropic keeps the tools of a thread, and asks servers for theirs. */
function hasToolsElsewhere({ thread, mcp_servers }: ChatRequest): boolean {
  return isRecord(thread) || (Array.isArray(mcp_servers) && mcp_servers.length > 0)
}

/** Tools without a function are Anthropic's own and stay as they are. */
function toTool(tool: Tool, path: string): Fields {
  const { type, function: called, custom, ...rest } = tool
  if (type === 'custom' && isRecord(custom)) return { ...toCustomTool(custom, path), ...rest }
  if (!called) {
    if (type === 'function' || custom !== undefined) throw inexpressible(path)
    return tool
  }
  const { name, description, parameters, strict, ...others } = called
  return {
    name,
    ...(description !== undefined && { description }),
    input_schema: { type: 'object', ...parameters },
    ...(typeof strict === 'boolean' && { strict }),
    ...others,
    ...rest,
  }
}

/** A tool whose input is free text gets it in a field. A grammar becomes part of the description. */
function toCustomTool({ name, description, format }: Fields, path: string): Fields {
  if (typeof name !== 'string') throw inexpressible(`${path}.custom.name`)
  const { syntax, definition } = recordOrEmpty(recordOrEmpty(format).grammar)
  const grammar = typeof definition === 'string' && `The input matches this grammar (${String(syntax)}):\n${definition}`
  const words = [description, grammar].filter((part) => typeof part === 'string')
  return {
    name,
    ...(words.length > 0 && { description: words.join('\n\n') }),
    input_schema: { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] },
  }
}

function toToolChoice(request: ChatRequest): Fields {
  const legacy = hasFunctions(request)
  // A client of functions reads one call of an answer.
  const serial = request.parallel_tool_calls === false || legacy
  const tool_choice = request.tool_choice ?? (legacy ? toFunctionChoice(request.function_call) : undefined)
  if (tool_choice === undefined && !serial) return {}
  const choice = readToolChoice(tool_choice ?? 'auto')
  return { tool_choice: serial && choice.type !== 'none' ? { ...choice, disable_parallel_tool_use: true } : choice }
}

const namedTool = z.union([
  z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
  z.object({ type: z.literal('custom'), custom: z.object({ name: z.string() }) }),
])

function readToolChoice(choice: NonNullable<ChatRequest['tool_choice']>): Fields {
  switch (choice) {
    case 'auto':
    case 'none':
      return { type: choice }
    case 'required':
      return { type: 'any' }
  }
  const { data: named } = namedTool.safeParse(choice)
  if (!named) throw inexpressible('tool_choice')
  return { type: 'tool', name: named.type === 'function' ? named.function.name : named.custom.name }
}
