import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Delta } from '../../providers/provider.ts'
import { startGateway } from '../support/gateway.ts'
import { open } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

const EMPTY: Delta = { type: 'delta', content: '' }
/** What no protocol but our own has a place for, or has told already. */
const UNKNOWN: Delta = { type: 'delta', carried: { elsewhere: { stop_reason: 128_009 } } }

describe.each([
  ['/v1/chat', 'event: done'],
  ['/v1/chat/completions', '[DONE]'],
  ['/v1/messages', 'message_stop'],
])('%s', (path, end) => {
  it.each([
    ['without text', EMPTY],
    ['of nothing but unknown fields', UNKNOWN],
  ])('goes on after an event %s, which makes no frame in some protocols', async (_, event) => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({}, { providers: [provider] })
    const opened = open(`${gateway.url}${path}`, {
      method: 'POST',
      body: { model: 'scripted', stream: true, max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] },
    })
    const run = await provider.nextRun()
    run.text('before')
    const reader = await opened
    await reader.until(({ body }) => body.includes('before'))
    // In a turn of its own, so that it is all there is to write.
    run.yield(event)
    for (let turn = 0; turn < 5; turn++) await nextTurn()
    run.text('after')
    await reader.until(({ body }) => body.includes('after'))
    run.done()
    await reader.end()
    expect(reader.body).toContain(end)
    expect(reader.complete).toBe(true)
  })
})
