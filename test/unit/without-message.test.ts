import { describe, expect, it } from 'vitest'
import { withoutMessage } from '../../src/telemetry/redact.ts'

describe('withoutMessage', () => {
  it('keeps type and stack, not the message', () => {
    const told = withoutMessage(new TypeError('the prompt'))
    expect(told).toEqual({ type: 'TypeError', stack: expect.stringContaining('without-message.test.ts') })
    expect(JSON.stringify(told)).not.toContain('the prompt')
  })

  it('drops lines of the message that look like frames', () => {
    const told = withoutMessage(new Error('no\n    at the prompt (file:///a.js:1:1)\n    at the completion'))
    expect(told.stack).toContain('without-message.test.ts')
    expect(told.stack).not.toMatch(/prompt|completion/)
  })

  it.each([
    ['the prompt', 'string'],
    [undefined, 'undefined'],
    [{ message: 'the prompt', stack: '    at the prompt' }, 'object'],
  ])('keeps only the type of a value that is not an Error: %j', (thrown, type) => {
    expect(withoutMessage(thrown)).toEqual({ type })
  })

  it('keeps no text of a plugin as the type, and survives properties that throw', () => {
    expect(withoutMessage(Object.assign(new Error('no'), { name: 'the prompt' })).type).toBe('Error')
    const hostile = Object.defineProperty(new Error('no'), 'stack', {
      get: () => {
        throw new Error('the prompt')
      },
    })
    expect(withoutMessage(hostile)).toEqual({ type: 'Error' })
  })

  it('keeps only the type when the stack is not a string', () => {
    expect(withoutMessage(Object.assign(new Error('no'), { stack: [{ file: 'a.js' }] }))).toEqual({ type: 'Error' })
  })
})
