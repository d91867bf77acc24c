import type { Wire } from '../src/wires/wire.ts'

/** Whose models a server offers; `other` means neither OpenAI's nor Anthropic's nor Google's. */
export type Vendor = 'openai' | 'anthropic' | 'google' | 'other'

const HOSTS: readonly [host: RegExp, vendor: Vendor][] = [
  [/^([\w-]+\.)?api\.openai\.com$|\.openai\.azure\.com$/, 'openai'],
  [/^generativelanguage\.googleapis\.com$|aiplatform\.googleapis\.com$/, 'google'],
  [/^api\.(groq\.com|cerebras\.ai|mistral\.ai|deepseek\.com|x\.ai|z\.ai)$/, 'other'],
  [/^api\.moonshot\.(ai|cn)$|^open\.bigmodel\.cn$/, 'other'],
]

/**
 * The vendor behind a base URL; undefined for servers that may offer anyone's models, such as gateways. Also
 * undefined for other vendors' Messages APIs: they accept Claude's model names but answer with their own models.
 */
export function vendorAt(baseUrl: string, wire: Wire): Vendor | undefined {
  const { hostname } = new URL(baseUrl)
  if (wire === 'anthropic') return hostname === 'api.anthropic.com' ? 'anthropic' : undefined
  return HOSTS.find(([host]) => host.test(hostname))?.[1]
}
