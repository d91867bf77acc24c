import { randomUUID } from 'node:crypto'
import { isRecord, type Fields } from '../../src/json.ts'
import type { Delta } from '../provider.ts'

/** Types of blocks that are a text; its field has the name of the type. */
export type TextType = 'text' | 'thinking'

export interface OpenBlock {
  type: string
  start: Fields
  /** Its place among the blocks, once a delta has announced it. */
  place: number | undefined
  /** A text that goes on as another block: a piece of another kind came in between. */
  interrupted: boolean
  stopped: boolean
  /** A piece of another kind within this block. */
  inner?: OpenBlock
  /** Index among the tool calls, and the JSON before its name is known. */
  call?: number
  heldJson: string
  hasArguments: boolean
}

export const EMPTY_BLOCKS = {
  text: { type: 'text', text: '' },
  thinking: { type: 'thinking', thinking: '', signature: '' },
}

export function toOpenBlock(type: string, start: Fields): OpenBlock {
  return { type, start, place: undefined, interrupted: false, stopped: false, heldJson: '', hasArguments: false }
}

export function isUnnamed({ type, start, call }: OpenBlock): boolean {
  return type === 'tool_use' && call === undefined && (typeof start.name !== 'string' || start.name === '')
}

/** Some servers number blocks with texts, or with null. */
export function toIndex(index: unknown): number | undefined {
  if (typeof index === 'number') return index
  return typeof index === 'string' && /^\d{1,15}$/.test(index) ? Number(index) : undefined
}

const TEXT_FIELDS = new Set(['text', 'thinking', 'signature'])

/** Whether the block's deltas imply everything in this start. */
export function isImplied(start: Fields): boolean {
  return Object.entries(start).every(([name, value]) => name === 'type' || (value === '' && TEXT_FIELDS.has(name)))
}

/** Whether a delta adds nothing to its block. */
export function saysNothing(delta: Fields): boolean {
  return Object.entries(delta).every(([name, value]) => name === 'type' || value === '' || value === null)
}

export function toTextFields(type: TextType, text: string): Pick<Delta, 'content' | 'reasoning'> {
  return type === 'text' ? { content: text } : { reasoning: text }
}

export function toolUseId(): string {
  return `toolu_${randomUUID().replaceAll('-', '').slice(0, 24)}`
}

/** Some servers send the input in the start event. A call without input gets `{}`: other clients need valid JSON. */
export function toInputJson(input: unknown): string {
  if (typeof input === 'string' && input !== '') return input
  return JSON.stringify(isRecord(input) ? input : {})
}
