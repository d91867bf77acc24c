import { describe, expect, it } from 'vitest'
import { withoutMessage } from '../../src/telemetry/without-message.ts'

describe('an error as a log may have it', () => {
  it('has its type and where it was thrown, but not its words', () => {
    const told = withoutMessage(new TypeError('the prompt'))
    expect(told).toEqual({ type: 'TypeError', stack: expect.stringContaining('without-message.test.ts') })
    expect(JSON.stringify(told)).not.toContain('the prompt')
  })

  it('has none of its words though these look like frames', () => {
    const told = withoutMessage(new Error('no\n    at the prompt (file:///a.js:1:1)\n    at the completion'))
    expect(told.stack).toContain('without-message.test.ts')
    expect(told.stack).not.toMatch(/prompt|completion/)
  })

  it.each([
    ['the prompt', 'string'],
    [undefined, 'undefined'],
    [{ message: 'the prompt', stack: '    at the prompt' }, 'object'],
  ])('is only its type when it is no Error: %j', (thrown, type) => {
    expect(withoutMessage(thrown)).toEqual({ type })
  })

  it('has no words of a plugin in its type, and survives properties that throw', () => {
    expect(withoutMessage(Object.assign(new Error('no'), { name: 'the prompt' })).type).toBe('Error')
    const hostile = Object.defineProperty(new Error('no'), 'stack', {
      get: () => {
        throw new Error('the prompt')
      },
    })
    expect(withoutMessage(hostile)).toEqual({ type: 'Error' })
  })

  it('is only its type when somebody has made something else of its stack', () => {
    expect(withoutMessage(Object.assign(new Error('no'), { stack: [{ file: 'a.js' }] }))).toEqual({ type: 'Error' })
  })
})
