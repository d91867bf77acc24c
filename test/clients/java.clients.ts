import { expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { describeClient, setUp, type ClientUnderTest } from './contract.ts'
import { describeIn } from './languages.ts'

const okhttp: ClientUnderTest = { name: 'okhttp-sse', protocol: 'native', resumesAt: 'cursor' }

describeIn('java', () => {
  describeClient('java', okhttp)

  it('okhttp-sse stays connected through 12 s of silence, though it waits for a byte no longer than 10 s', async () => {
    const { heartbeatMs } = loadConfig()
    const { start, answers } = await setUp('java', okhttp, { heartbeatMs })
    const mock = { text: 'before after', stall_at: 1, stall_ms: 12_000 }
    const program = start({ body: { model: 'mock', messages: [{ role: 'user', content: 'hi' }], mock } })
    expect(await program.end()).toBe('stop')
    expect(program.text).toBe('before after')
    expect(program.of('error')).toStrictEqual([])
    expect(answers()).toStrictEqual([200])
  })
})
