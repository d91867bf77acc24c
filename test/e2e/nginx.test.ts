import { expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { expectEveryToken } from '../support/proxies/every-token.ts'
import { startNginx } from '../support/proxies/nginx.ts'
import { describeWith } from '../support/programs.ts'
import { chat } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

describeWith('nginx', 'behind nginx with its default settings', (program) => {
  // nginx speaks 1.0 by default, and then holds back responses that are not marked as unbuffered. test/e2e/proxies.test.ts has 1.1.
  it('brings every token as soon as it is there, over HTTP/1.0', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({}, { providers: [provider] })
    const url = await startNginx(program, gateway.url, { httpVersion: '1.0' })
    const reader = await expectEveryToken(provider, url)
    expect(reader.headers['cache-control']).toBe('no-cache, no-transform')
  })

  it('keeps a stream that is silent for longer than its read timeout of 60 s', async () => {
    const gateway = await startGateway()
    const url = await startNginx(program, gateway.url)
    const reader = await chat(url, { mock: { text: 'before after', interval_ms: 0, stall_at: 1, stall_ms: 70_000 } })
    await reader.end()
    expect(reader.text).toBe('before after')
    expect(reader.dones).toMatchObject([{ finish_reason: 'stop' }])
    expect(reader.complete).toBe(true)
    expect(reader.comments).toContain('heartbeat')
  })
})
