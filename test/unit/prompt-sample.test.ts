import fc from 'fast-check'
import { expect, it } from 'vitest'
import { PromptSample, SAMPLE_CHARACTERS } from '../../src/usage/prompt-sample.ts'
import { estimateTokens } from '../../src/usage/estimate-tokens.ts'

const say = (...texts: string[]) => ({ messages: texts.map((content) => ({ role: 'user' as const, content })) })

it('is the whole of a short prompt', () => {
  const sample = new PromptSample(say('Hello', 'world'))
  expect(sample.text).toBe('Hello\nworld')
  expect(sample.tokens(undefined)).toBe(estimateTokens(say('Hello', 'world')))
})

it('is spread over a long prompt: half Latin, half Chinese counts as both', () => {
  const input = say('a'.repeat(300_000), '中'.repeat(150_000), '中'.repeat(150_000))
  const { text } = new PromptSample(input)
  const chinese = text.replaceAll(/[^中]/g, '').length
  expect(text.length).toBeLessThanOrEqual(SAMPLE_CHARACTERS + 16)
  expect(Math.abs(chinese / text.length - 0.5)).toBeLessThan(0.05)
})

it('takes its size from what is in it, of any prompt', () => {
  const texts = fc.array(
    fc.oneof(
      fc.string(),
      fc.nat(40_000).map((length) => 'x'.repeat(length)),
    ),
    { minLength: 1 },
  )
  fc.assert(
    fc.property(texts, (contents) => {
      const input = say(...contents)
      const sample = new PromptSample(input)
      const characters = contents.join('').length
      expect(sample.text.length).toBeLessThanOrEqual(SAMPLE_CHARACTERS + Math.max(contents.length, 32))
      if (characters > SAMPLE_CHARACTERS) expect(sample.text.length).toBeGreaterThanOrEqual(SAMPLE_CHARACTERS * 0.95)
      expect(sample.tokens(undefined)).toBe(estimateTokens(input))
      // A token for each character of the sample is a token for each of the prompt.
      const counted = sample.tokens(sample.text.length) - 4 * contents.length
      if (sample.text !== '') expect(counted).toBe(characters)
    }),
  )
})

it('is not cut short by a message that claims to be an image', () => {
  const claimed = { messages: [{ role: 'user' as const, content: 'word '.repeat(1000), type: 'image' }] }
  expect(estimateTokens(claimed)).toBe(estimateTokens(say('word '.repeat(1000))))
})

it('stays as small as is reserved for it when a prompt has very many empty texts', () => {
  const { text } = new PromptSample(say('Hello', ...Array.from({ length: 50_000 }, () => ''), 'world'))
  expect(text).toBe('Hello\nworld')
})
