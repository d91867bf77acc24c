// How much to think, which each server is told in its own way.

import type { ChatRequest } from '../../src/chat-request.ts'
import { isRecord, type Fields } from '../../src/json.ts'
import { isGiven } from '../received-fields.ts'
import { isWithoutReasoning, knowsHighestEffort, type Server } from './servers.ts'

export interface Effort {
  fields: Fields
  ignored?: string
}

/** Anthropic's `thinking` has a budget of tokens, which an effort stands for. */
export function toEffort({ thinking, reasoning_effort, model }: ChatRequest, server: Server): Effort {
  const isRefused = server.thinking === 'effort of reasoning models' && isWithoutReasoning(model)
  const fields = toSwitch(thinking, server)
  if (isGiven(reasoning_effort)) {
    if (isRefused) return { fields, ignored: 'reasoning_effort' }
    return { fields: { ...fields, reasoning_effort: toKnownEffort(String(reasoning_effort), model, server) } }
  }
  if (!isRecord(thinking) || thinking.type === 'disabled' || fields.thinking) return { fields }
  const { budget_tokens } = thinking
  if (typeof budget_tokens !== 'number' || server.thinking === 'none' || isRefused)
    return { fields, ignored: 'thinking' }
  return { fields: { reasoning_effort: effortOf(budget_tokens) } }
}

/** `max` is Anthropic's word, and only some models have `xhigh`. */
function toKnownEffort(effort: string, model: string, server: Server): string {
  if (effort === 'max') return 'high'
  return effort === 'xhigh' && !server.details && !knowsHighestEffort(model) ? 'high' : effort
}

/** Some servers have the same switch as Anthropic, but without a budget. */
function toSwitch(thinking: unknown, server: Server): Fields {
  if (!isRecord(thinking)) return {}
  const { type, budget_tokens } = thinking
  if (server.thinking === 'switch') return { thinking: { type: type === 'disabled' ? 'disabled' : 'enabled' } }
  return type === 'enabled' && budget_tokens === undefined && server.sampling ? { thinking } : {}
}

function effortOf(budget: number): string {
  if (budget < 4096) return 'low'
  return budget < 16_384 ? 'medium' : 'high'
}
