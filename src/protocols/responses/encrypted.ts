// `encrypted_content`: what an upstream wants back with its thoughts. Clients keep it without looking into it.

import type { Fields } from '../../json.ts'

/** Ours begin so. Those of OpenAI's own models mean nothing to any upstream that Sluice speaks to. */
const SIGNED = 'sluice:signed:'
const REDACTED = 'sluice:redacted:'

export function encryptSignature(signature: string): string {
  return SIGNED + signature
}

export function encryptRedacted(data: string): string {
  return REDACTED + data
}

/** The block that an upstream gets back; undefined when it would not know what to do with it. */
export function toThought(encrypted: string | undefined, text: string): Fields | undefined {
  if (encrypted === undefined) return text === '' ? undefined : { type: 'thinking', thinking: text, signature: '' }
  if (encrypted.startsWith(SIGNED))
    return { type: 'thinking', thinking: text, signature: encrypted.slice(SIGNED.length) }
  if (encrypted.startsWith(REDACTED)) return { type: 'redacted_thinking', data: encrypted.slice(REDACTED.length) }
  return undefined
}
