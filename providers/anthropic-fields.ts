import { ProviderError } from './provider.ts'

/** An object of which nothing is known yet. */
export type Fields = Partial<Record<string, unknown>>

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

export function given(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => isGiven(value)))
}

/** @throws ProviderError `upstream_invalid_response`, as do those below */
export function parseFields(json: string): Fields {
  try {
    return toFields(JSON.parse(json))
  } catch (error) {
    throw error instanceof ProviderError ? error : invalid('broken JSON', error)
  }
}

export function toFields(value: unknown): Fields {
  if (isFields(value)) return value
  throw invalid('something that is no event')
}

export function toText(value: unknown): string {
  if (typeof value === 'string') return value
  throw invalid('a delta without its text')
}

export function invalid(what: string, cause?: unknown): ProviderError {
  return new ProviderError({ code: 'upstream_invalid_response', message: `The upstream sent ${what}.`, cause })
}
