import { describe, expect, it } from 'vitest'
import { editDistance, nearestNames } from '../../src/routing/nearest-names.ts'

const names = ['fast', 'openai/gpt-4.1', 'openai/gpt-4.1-mini', 'openai/gpt-5', 'anthropic/claude-sonnet-4-5-20250929']

describe('the nearest names', () => {
  it.each([
    ['fsat', []],
    ['fsast', ['fast']],
    ['gpt-4.1-mni', ['openai/gpt-4.1-mini']],
    ['gtp-5', []],
    ['gpt5', ['openai/gpt-5']],
    ['openai/gpt-55', ['openai/gpt-5', 'openai/gpt-4.1']],
    ['claude-sonnet-4-5', ['anthropic/claude-sonnet-4-5-20250929']],
    ['CLAUDE-SONNET', ['anthropic/claude-sonnet-4-5-20250929']],
    ['llama3', []],
    ['', []],
    ['x'.repeat(10_000), []],
  ])('of %j', (name, expected) => {
    expect(nearestNames(name, names)).toEqual(expected)
  })

  it('are three at most, and sought among the first two thousand alone', () => {
    const many = Array.from({ length: 20_000 }, (_, i) => `provider/${'a'.repeat(60)}-${i % 100}`)
    expect(nearestNames(`provider/${'a'.repeat(60)}b`, many)).toHaveLength(3)
    const others = Array.from({ length: 2000 }, () => 'zzzzzz')
    expect(nearestNames('abcdef', [...others.slice(1), 'abcdeg'])).toEqual(['abcdeg'])
    expect(nearestNames('abcdef', [...others, 'abcdeg'])).toEqual([])
  })
})

it.each([
  ['', '', 0],
  ['abc', 'abc', 0],
  ['abc', 'axc', 1],
  ['kitten', 'sitting', 3],
  ['abc', 'abcd', 1],
  ['bc', 'abc', 1],
  ['abcdef', 'defabc', Infinity],
  ['a', 'aaaaa', Infinity],
])('the distance from %j to %j is %d', (a, b, distance) => {
  expect(editDistance(a, b, 3)).toBe(distance)
  expect(editDistance(b, a, 3)).toBe(distance)
})
