// Whose model a name is, and how an operator adds its vendor.

import type { Vendor } from '../../providers/vendors.ts'

/** A vendor whose names are its own. */
export type NamedVendor = Exclude<Vendor, 'other'>

/** Many servers offer `gpt-oss`, because its weights are open. */
const NAMES: readonly [name: RegExp, vendor: NamedVendor][] = [
  [/^(gpt-(?!oss)|chatgpt-|o[1-9]\d?(-|$)|ft:(gpt|o\d)-)/i, 'openai'],
  [/^(text-embedding-(3|ada)-|whisper-1$|tts-1|dall-e-|omni-moderation-)/i, 'openai'],
  [/^claude-/i, 'anthropic'],
  [/^gemini-/i, 'google'],
]

export function vendorOfName(model: string): NamedVendor | undefined {
  return NAMES.find(([name]) => name.test(model))?.[1]
}

/** What to do to have this vendor's models. */
export const ADD_VENDOR: Readonly<Record<NamedVendor, string>> = {
  openai: 'set OPENAI_API_KEY',
  anthropic: 'set ANTHROPIC_API_KEY',
  google:
    'add a provider of type openai with the baseUrl https://generativelanguage.googleapis.com/v1beta/openai to sluice.yaml',
}
