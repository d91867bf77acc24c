import fc from 'fast-check'
import { expect, it } from 'vitest'
import { chatRequestSchema, isPlainChat } from '../../src/chat-request.ts'

const scalar = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constant([]),
  fc.constant({}),
)
const message = fc.record({
  role: fc.constantFrom('system', 'developer', 'user', 'assistant', 'tool', 'function', 'other'),
  content: fc.string(),
})
const body = fc.record(
  {
    messages: fc.array(message, { maxLength: 2 }),
    model: fc.string(),
    temperature: fc.double(),
    max_tokens: fc.integer({ min: -1 }),
    user: fc.string(),
  },
  { requiredKeys: ['messages'] },
)
/** Sets a field of the body, or of its first message. */
const change = fc.option(
  fc.record({
    inMessage: fc.boolean(),
    name: fc.constantFrom('messages', 'model', 'role', 'content', 'name', 'tools', 'stop', 'top_p', 'valueOf', 'x'),
    value: scalar,
  }),
)

it('calls a request plain only if the schema returns it as it is', () => {
  let plain = 0
  fc.assert(
    fc.property(body, change, (request, changed) => {
      const place = changed?.inMessage ? request.messages[0] : request
      if (changed && place) Object.assign(place, { [changed.name]: changed.value })
      if (!isPlainChat(request)) return
      plain += 1
      expect(chatRequestSchema.parse(request)).toEqual(request)
    }),
    { numRuns: 2000 },
  )
  expect(plain).toBeGreaterThan(20)
})

it('calls a usual request plain', () => {
  const messages = [
    { role: 'system', content: 'Be kind.' },
    { role: 'user', content: 'Hi' },
  ]
  expect(isPlainChat({ messages, model: 'm', temperature: 0.5, max_tokens: 10, stream: true })).toBe(true)
})
