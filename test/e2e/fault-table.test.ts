import { describe, expect, it } from 'vitest'
import { SluiceError } from '../../src/errors.ts'
import { faults, stream, WHOLE, type Fault } from '../support/faults.ts'
import { startGateway } from '../support/gateway.ts'
import { open, type Reader } from '../support/reader.ts'
import { startUpstream } from '../support/upstream.ts'

const messages = [{ role: 'user', content: 'hi' }]

/** How each client asks, and where it sees what came of it. */
const clients = {
  native: { path: '/v1/chat', body: {}, streams: true },
  'openai, streaming': { path: '/v1/chat/completions', body: { stream: true }, streams: true },
  openai: { path: '/v1/chat/completions', body: {}, streams: false },
  'anthropic, streaming': { path: '/v1/messages', body: { max_tokens: 9, stream: true }, streams: true },
  anthropic: { path: '/v1/messages', body: { max_tokens: 9 }, streams: false },
}
type Client = keyof typeof clients

async function ask(client: Client, { answer = () => {}, url, limits }: Fault, ...others: string[]): Promise<Reader> {
  const bad = await startUpstream(answer)
  const good = await startUpstream(stream(WHOLE.replace('one', 'good')))
  const provider = (baseUrl: string) => ({ type: 'openai' as const, baseUrl, headers: {}, includeUsage: true })
  const gateway = await startGateway({
    providers: { bad: provider((await url?.(bad)) ?? bad.url), good: provider(good.url) },
    // Retries and their waits have a table of their own.
    models: { model: [{ target: 'bad/m', ...limits, retries: 0 }, ...others] },
  })
  const { path, body } = clients[client]
  const asked = await open(`${gateway.url}${path}`, { method: 'POST', body: { model: 'model', messages, ...body } })
  return asked.end()
}

/** The status that a protocol of SDKs gives a failure before the stream. */
function statusOf({ what, code }: Fault): number {
  const upstream = Number(/^\d{3}/.exec(what)?.[0] ?? 0)
  return upstream >= 400 && code !== 'upstream_auth' ? upstream : new SluiceError(code, '').status
}

function last(reader: Reader): unknown {
  return JSON.parse(reader.messages.at(-1)?.data ?? 'null')
}

/** Our code in the body of an error: beside that of the upstream, if it has one. */
function sluiceCode(body: unknown): unknown {
  const { error } = body as { error: { code?: unknown; sluice_code?: unknown } }
  return error.sluice_code ?? error.code
}

describe.each(faults)('$what', (fault) => {
  const { code, text = '', fallsBack } = fault

  it('is a done{error} to a native client', async () => {
    const reader = await ask('native', fault)
    expect(reader.text).toBe(text)
    expect(reader.dones).toMatchObject([{ finish_reason: 'error', error: { code } }])
  })

  it.each(['openai', 'anthropic'] as const)(
    'is a status to a client of %s that waits for the whole',
    async (client) => {
      const reader = await ask(client, fault)
      expect(reader.status).toBe(statusOf(fault))
      expect(reader.headers['x-should-retry']).toMatch(/^(true|false)$/)
      expect(reader.headers['sluice-error']).toBe(code)
      expect(sluiceCode(reader.json)).toBe(code)
      expect(reader.json).toMatchObject(
        client === 'openai' ? { error: { param: null } } : { type: 'error', error: { type: expect.any(String) } },
      )
    },
  )

  it('is a status to a streaming client of openai, or an error in the stream and no [DONE]', async () => {
    const reader = await ask('openai, streaming', fault)
    expect(reader.body).not.toContain('[DONE]')
    if (text) expect(sluiceCode(last(reader))).toBe(code)
    else expect([reader.status, sluiceCode(reader.json)]).toEqual([statusOf(fault), code])
  })

  it('is a status to a streaming client of anthropic, or an error event and no message_stop', async () => {
    const reader = await ask('anthropic, streaming', fault)
    expect(reader.body).not.toContain('message_stop')
    const error = { type: 'error', error: { sluice_code: code } }
    if (text) expect([reader.messages.at(-1)?.event, last(reader)]).toMatchObject(['error', error])
    else expect([reader.status, reader.json]).toMatchObject([statusOf(fault), error])
  })

  if (fallsBack)
    it.each(Object.keys(clients) as Client[])('is not seen by %s when there is another target', async (client) => {
      const reader = await ask(client, fault, 'good/m')
      expect(reader.status).toBe(200)
      expect(reader.body).toContain('good ')
      expect(reader.body).not.toContain(code)
      // A native stream begins before anybody has answered.
      if (client !== 'native')
        expect(reader.headers).toMatchObject({ 'sluice-target': 'good/m', 'sluice-attempts': '2' })
    })
})
