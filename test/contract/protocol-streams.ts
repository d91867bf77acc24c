import { describe, expect, it } from 'vitest'
import { open, type Reader, type ReaderOptions } from '../support/reader.ts'
import type { Backend, Script, Stage } from './protocol-backend.ts'
import type { ProtocolClient } from './protocol-client.ts'
import { calls, expectFailed, parseArguments, startContract, text } from './protocol.ts'

/** What a stream is in every protocol over every provider: it can be read again, by many, and stopped. */
export function describeStreams(client: ProtocolClient, backend: Backend): void {
  const script: Script = { reasoning: ['Let', ' me', ' think.'], text, calls, finish: 'tool_calls' }
  const heard = ({ messages }: Reader) => client.listen(messages)

  /** `GET /v1/streams/{id}` in this protocol, named in one way or the other. */
  const reads = {
    'in the query': (stage: Stage, id: string, { headers }: ReaderOptions = {}) =>
      open(`${stage.gateway.url}/v1/streams/${id}?protocol=${client.name}`, {
        headers: { accept: 'text/event-stream', ...headers },
      }),
    'in a header': (stage: Stage, id: string, { headers }: ReaderOptions = {}) =>
      open(`${stage.gateway.url}/v1/streams/${id}`, {
        headers: { accept: `text/event-stream;protocol=${client.name}`, ...headers },
      }),
  }

  describe.each(Object.entries(reads))('a stream whose protocol is named %s', (_, read) => {
    it('goes on after every id', async () => {
      const { stage, ask } = await startContract(client, backend)
      const all = await (await ask(script)).end()
      const ids = new Set(all.messages.flatMap(({ id }) => id ?? []))
      expect(ids.size).toBeGreaterThan(3)
      for (const cursor of [...ids].slice(0, -1)) {
        const rest = await (await read(stage, all.id, { headers: { 'last-event-id': cursor } })).end()
        const last = all.messages.findLastIndex(({ id }) => id === cursor)
        expect(client.listen([...all.messages.slice(0, last + 1), ...rest.messages])).toEqual(heard(all))
      }
    })

    it('has many readers, who all read the same', async () => {
      const paused = { ...script, pauseAt: 4 }
      const { stage, ask } = await startContract(client, backend)
      const first = await ask(paused)
      await first.until((reader) => heard(reader).text === 'one')
      const others = await Promise.all(Array.from({ length: 4 }, () => read(stage, first.id)))
      stage.goOn()
      for (const reader of [first, ...others])
        expect(parseArguments(heard(await reader.end()))).toEqual(parseArguments(stage.expected(paused)))
    })

    it('is over for all its readers when it is cancelled', async () => {
      const { stage, ask } = await startContract(client, backend)
      const first = await ask({ text, pauseAt: 2, forGood: true })
      await first.until((reader) => heard(reader).text === 'one two')
      const second = await read(stage, first.id)
      await second.until((reader) => heard(reader).text === 'one two')
      await open(`${stage.gateway.url}/v1/streams/${first.id}`, { method: 'DELETE' })
      for (const reader of [first, second]) expectFailed(heard(await reader.end()), 'one two')
      await stage.upstream?.requests[0]?.closed
      await stage.gateway.services.generations.idle()
    })
  })
}

/** What a `POST` is that repeats one: the same reader, further on. */
export function describeRepeating(client: ProtocolClient, backend: Backend): void {
  const script: Script = { reasoning: ['Let', ' me', ' think.'], text, calls, finish: 'tool_calls' }
  const KEY = { 'idempotency-key': 'the same' }

  describe('a POST with a known Idempotency-Key', () => {
    it('goes on after every id, and is 204 after the last', async () => {
      const { repeat } = await startContract(client, backend)
      const post = repeat(script)
      const all = await (await post(KEY)).end()
      const ids = new Set(all.messages.flatMap(({ id }) => id ?? []))
      expect(ids.size).toBeGreaterThan(3)
      const [end = ''] = [...ids].slice(-1)
      for (const cursor of [...ids].slice(0, -1)) {
        const rest = await (await post({ ...KEY, 'last-event-id': cursor })).end()
        const last = all.messages.findLastIndex(({ id }) => id === cursor)
        expect(client.listen([...all.messages.slice(0, last + 1), ...rest.messages])).toEqual(
          client.listen(all.messages),
        )
      }
      const after = await (await post({ ...KEY, 'last-event-id': end })).end()
      expect([after.status, after.body]).toEqual([204, ''])
    })

    it('reads from the beginning without a cursor, and with an empty one', async () => {
      const { repeat } = await startContract(client, backend)
      const post = repeat(script)
      const all = await (await post(KEY)).end()
      for (const cursor of [{}, { 'last-event-id': '' }, { 'last-event-id': '0' }]) {
        const again = await (await post({ ...KEY, ...cursor })).end()
        expect(again.id).toBe(all.id)
        expect(client.listen(again.messages)).toEqual(client.listen(all.messages))
      }
    })
  })

  describe('a POST with a cursor and no Idempotency-Key', () => {
    it('is refused, names the header to add, and starts nothing', async () => {
      const { repeat, stage } = await startContract(client, backend)
      const post = repeat(script)
      const refused = await (await post({ 'last-event-id': '2' })).end()
      expect(refused.status).toBe(400)
      expect(refused.body).toContain('Idempotency-Key: is required with Last-Event-ID')
      expect(stage.gateway.services.generations.size).toBe(0)
      expect(stage.upstream?.requests ?? []).toEqual([])
    })

    it.each(['', '0'])('is a new stream when the cursor is %j', async (cursor) => {
      const { repeat, stage } = await startContract(client, backend)
      const all = await (await repeat(script)({ 'last-event-id': cursor })).end()
      expect(parseArguments(client.listen(all.messages))).toEqual(parseArguments(stage.expected(script)))
    })
  })
}

/** For protocols whose clients do not come back: one that goes ends it all at once. */
export function describeLeaving(client: ProtocolClient, backend: Backend): void {
  async function leave(script: Script, stream: boolean, until: (stage: Stage, answer: Promise<Response>) => unknown) {
    // Nothing but its going may end the wait.
    const stage = await backend.start({ sdkStatusWaitMs: 600_000 })
    const gone = new AbortController()
    const { headers, body } = client.request(stream)
    const answer = fetch(`${stage.gateway.url}${client.path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: 'model', ...body, ...stage.play({ ...script, forGood: true }) }),
      signal: gone.signal,
    })
    await until(stage, answer)
    gone.abort()
    await expect(answer.then((response) => response.text())).rejects.toThrow('aborted')
    await stage.upstream?.requests[0]?.closed
    await stage.gateway.services.generations.idle()
  }

  describe('a client that goes', () => {
    it.each([true, false])('before the first token ends the generation (streaming: %s)', (stream) =>
      leave({ text, pauseAt: 0 }, stream, async ({ upstream, gateway }) => {
        await upstream?.request(0)
        await expect.poll(() => gateway.services.generations.size).toBe(1)
      }),
    )

    it('after the first token ends the generation', () => leave({ text, pauseAt: 2 }, true, (_, answer) => answer))
  })
}
