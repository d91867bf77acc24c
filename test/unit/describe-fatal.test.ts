import { parseArgs } from 'node:util'
import { describe, expect, it } from 'vitest'
import { describeFatal } from '../../src/describe-fatal.ts'
import { ConfigError } from '../../src/errors.ts'

function thrownBy(action: () => unknown): unknown {
  try {
    return action()
  } catch (error) {
    return error
  }
}

const missing: string = './nothing.ts'

describe('an error at the start of the program', () => {
  it.each<[what: string, make: () => unknown, words: string]>([
    ['a setting', () => new ConfigError([{ path: 'PORT', message: 'is no port' }]), 'PORT: is no port'],
    ['an option', () => thrownBy(() => parseArgs({ args: ['--prot'], options: {} })), '--prot'],
    ['a module that is missing', () => import(missing).catch((error: unknown) => error), 'nothing'],
  ])('is told without its stack when the operator made it: %s', async (_, make, words) => {
    const text = describeFatal(await make())
    expect(text).toContain(words)
    expect(text).not.toContain('\n    at ')
  })

  it('is told with its stack when it is a bug, also when it has a code', () => {
    const error = Object.assign(new TypeError('no'), { code: 'ERR_INVALID_ARG_TYPE' })
    expect(describeFatal(error)).toBe(error.stack)
    expect(describeFatal(error)).toContain('\n    at ')
  })

  it('is told with the stacks of its causes', () => {
    const cause = new TypeError('why')
    const error = new Error('what', { cause: new Error('how', { cause }) })
    expect(describeFatal(error)).toContain(`caused by: ${cause.stack}`)
    expect(describeFatal(error).match(/^(caused by: )?\w*Error: (what|how|why)$/gm)).toHaveLength(3)
  })

  it('is told when its causes are a circle, or no errors', () => {
    const error = new Error('what')
    error.cause = error
    expect(describeFatal(error)).toContain('caused by: Error: what')
    expect(describeFatal(new Error('what', { cause: 'a text' }))).toMatch(/\ncaused by: a text$/)
    expect(describeFatal('a text')).toBe('a text')
    expect(describeFatal(undefined)).toBe('undefined')
  })
})
