import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Delta } from '../../src/stream/events.ts'
import { isLongText, MAX_TEXT, splitLongText } from '../../src/stream/delta-text.ts'

it('cuts a long text between characters, and changes nothing else', () => {
  const unit = fc.constantFrom('a', 'é', '漢', '😀')
  const texts = fc.tuple(unit, fc.nat(3 * MAX_TEXT), unit).map(([a, times, b]) => b + a.repeat(times))
  const fields = fc.constantFrom('content', 'reasoning', 'refusal')
  fc.assert(
    fc.property(texts, fields, fc.option(fc.nat(3), { nil: undefined }), (text, field, index) => {
      const delta: Delta = { type: 'delta', role: 'assistant', [field]: text, ...(index !== undefined && { index }) }
      const parts = splitLongText(delta)
      expect(parts.map((part) => part[field as 'content']).join('')).toBe(text)
      expect(parts.every((part) => !isLongText(part) && part[field as 'content']!.isWellFormed())).toBe(true)
      expect(parts.map(({ role }) => role)).toEqual(['assistant', ...parts.slice(1).map(() => undefined)])
      expect(parts.every((part) => part.index === index)).toBe(true)
    }),
  )
})

it('leaves a delta whole that has several texts, whose order would be lost', () => {
  const delta: Delta = { type: 'delta', content: 'a'.repeat(9999), reasoning: 'b' }
  expect(splitLongText(delta)).toEqual([delta])
})
