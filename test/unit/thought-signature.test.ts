import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readThoughtSignature, withThoughtSignature } from '../../src/wires/thought-signature.ts'

it('keeps a thought signature in an id of the Messages API, and reads it back', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-zA-Z0-9_-]+$/),
      fc.string({ minLength: 1, unit: 'grapheme' }),
      (id, signature) => {
        const signed = withThoughtSignature(id, signature)
        expect(signed).toMatch(/^[a-zA-Z0-9_-]+$/)
        expect(readThoughtSignature(signed)).toEqual({ id, signature })
      },
    ),
  )
})

it.each(['call_1', '', 'a__sig_', 'a__sig_?', 'a__sig_a', 'a__sig__w'])('returns the id %j as it is', (id) => {
  expect(readThoughtSignature(id)).toEqual({ id })
})
