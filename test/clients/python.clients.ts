import { expect, it } from 'vitest'
import { describeClient, setUp, type ClientUnderTest } from './contract.ts'
import { describeIn } from './languages.ts'

const httpx: ClientUnderTest = { name: 'httpx-sse', protocol: 'native', resumesAt: 'cursor' }

describeIn('python', () => {
  describeClient('python', httpx)
  describeClient('python', { name: 'requests-sse', protocol: 'native', resumesAt: 'cursor' })
  describeClient('python', { name: 'openai', protocol: 'openai-chat', resumesAt: 'beginning' })
  describeClient('python', { name: 'openai-cursor', protocol: 'openai-chat', resumesAt: 'cursor' })
  describeClient('python', { name: 'anthropic', protocol: 'anthropic-messages', resumesAt: 'beginning' })
  describeClient('python', { name: 'anthropic-cursor', protocol: 'anthropic-messages', resumesAt: 'cursor' })

  it('httpx-sse comes back when httpx has lost patience after 5 s, and has every token once', async () => {
    const { start, answers } = await setUp('python', httpx, { heartbeatMs: 60_000 })
    const mock = { text: 'before after', stall_at: 1, stall_ms: 7000 }
    const program = start({ body: { model: 'mock', messages: [{ role: 'user', content: 'hi' }], mock } })
    expect(await program.end()).toBe('stop')
    expect(program.text).toBe('before after')
    expect(program.of('error')).toMatchObject([{ message: expect.stringContaining('ReadTimeout') }])
    expect(answers()).toStrictEqual([200, 200])
  })
})
