import { expect, it } from 'vitest'
import { WHOLE, stream } from '../support/faults.ts'
import { startGateway } from '../support/gateway.ts'
import { open } from '../support/reader.ts'
import { startUpstream } from '../support/upstream.ts'

const messages = [{ role: 'user', content: 'hi' }]

it.each([
  ['llama3.2:1b', 'up/llama3.2:1b'],
  ['org/模型', 'up/org/%E6%A8%A1%E5%9E%8B'],
  ['a\r\nSet-Cookie: b=c', 'up/a%0D%0ASet-Cookie:%20b=c'],
  ['\ud800', 'up/%EF%BF%BD'],
])('a model named %j is named in a header that is one', async (model, target) => {
  const upstream = await startUpstream(stream(WHOLE))
  const gateway = await startGateway({
    providers: { up: { type: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true } },
  })
  for (const path of ['/v1/chat/completions', '/v1/messages']) {
    const body = { model: `up/${model}`, messages, max_tokens: 5, stream: true }
    const reader = await (await open(`${gateway.url}${path}`, { method: 'POST', body })).end()
    expect(reader.status).toBe(200)
    expect(reader.headers['sluice-target']).toBe(target)
    expect(reader.headers['set-cookie']).toBeUndefined()
  }
})
