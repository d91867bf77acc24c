import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Config } from '../../src/config.ts'
import type { Done } from '../../src/stream/events.ts'
import { answers, breaks, refuses, says } from '../support/openai-upstream.ts'
import { chat, open, type Reader } from '../support/reader.ts'
import { chatChunks, chunk, startUpstream, type Answer } from '../support/upstream.ts'
import { startChargingGateway, type ChargingGateway, type Sums } from '../support/usage.ts'

/** What the upstream does with a request, and what the client does. */
interface Plan {
  upstream: 'answers' | 'tells-no-usage' | 'reset' | 'end' | 'error' | 'refuses' | 'hangs'
  client: 'reads' | 'stops' | 'leaves'
  words: number
  /** Pieces that come before the upstream breaks. */
  pieces: number
}

const plan: fc.Arbitrary<Plan> = fc.record({
  upstream: fc.constantFrom('answers', 'tells-no-usage', 'reset', 'end', 'error', 'refuses', 'hangs'),
  client: fc.constantFrom('reads', 'stops', 'leaves'),
  words: fc.integer({ min: 1, max: 40 }),
  pieces: fc.integer({ min: 0, max: 5 }),
})

/** Does what the prompt says. */
const upstream: Answer = (response, request) => {
  if (request.path.endsWith('/embeddings')) {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end('{"data":[],"usage":{"prompt_tokens":3,"total_tokens":3}}')
    return undefined
  }
  const [{ content }] = request.body.messages as [{ content: string }]
  const { upstream: act, words, pieces } = JSON.parse(content) as Plan
  const text = Array.from({ length: words }, (_, i) => ` word${i}`)
  switch (act) {
    case 'answers':
      return answers(says(text))(response, request)
    case 'tells-no-usage':
      return answers(says(text))(response, { ...request, body: { ...request.body, stream_options: {} } })
    case 'refuses':
      return refuses(400, 'invalid_request_error')(response, request)
    case 'hangs':
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(chatChunks(...text.map((each) => chunk({ content: each }))))
      return undefined
    case 'reset':
    case 'end':
    case 'error':
      return breaks(says(text), pieces, act)(response, request)
  }
}

/** Runs one stream to its end, by whichever protocol the plan's client speaks; returns its id. */
async function run(gateway: ChargingGateway, each: Plan): Promise<string> {
  const messages = [{ role: 'user', content: JSON.stringify(each) }]
  const body = { model: 'upstream/m', messages, stream: true }
  const reader: Reader =
    each.client === 'leaves'
      ? await open(`${gateway.url}/v1/chat/completions`, { method: 'POST', body })
      : await chat(gateway.url, body)
  if (each.client === 'leaves') reader.cut()
  else if (each.client === 'stops' || each.upstream === 'hangs')
    await (await open(`${gateway.url}/v1/streams/${reader.id}`, { method: 'DELETE' })).end()
  await reader.end()
  return reader.id
}

it('what is charged is what the streams say they used, in every record, for any mix of ends', async () => {
  const { url } = await startUpstream(upstream)
  const providers: Config['providers'] = { upstream: { type: 'openai', baseUrl: url, headers: {}, includeUsage: true } }
  const prices = { 'upstream/*': { input: 0.15, output: 0.6, cachedInput: 0.075 } }
  const breaker = { failures: 1_000_000, cooldownMs: 1 }
  const gateway = await startChargingGateway({ providers, prices, breaker })
  const { generations, store } = gateway.services
  const sent: Sums = { streams: 0, prompt: 0, completion: 0, estimated: 0, nanos: 0 }
  const ends = new Set<string>()

  const add = ({ finish_reason, usage, cost = 0 }: Done) => {
    if (!usage) throw new Error('A stream ended without usage.')
    ends.add(`${finish_reason} ${usage.estimated ? 'estimated' : usage.total_tokens === 0 ? 'free' : 'reported'}`)
    sent.streams += 1
    sent.prompt += usage.prompt_tokens
    sent.completion += usage.completion_tokens
    if (usage.estimated) sent.estimated += usage.prompt_tokens + usage.completion_tokens
    sent.nanos += Math.round(cost * 1e9)
  }

  await fc.assert(
    fc.asyncProperty(fc.array(plan, { minLength: 1, maxLength: 30 }), async (plans) => {
      const embedding = open(`${gateway.url}/v1/embeddings`, {
        method: 'POST',
        body: { model: 'upstream/m', input: 'x' },
      })
      const ids = await Promise.all(plans.map((each) => run(gateway, each)))
      expect((await (await embedding).end()).status).toBe(200)
      sent.prompt += 3
      sent.nanos += 450
      await generations.idle()
      for (const id of ids.filter((each) => each !== '')) {
        const found = await store.find(id, 'anonymous')
        if (found.status !== 'found' || !found.log.done) throw new Error(`${id} is ${found.status}`)
        add(found.log.done)
      }
      // A client that gets a status instead of a stream learns its id, too.
      expect(ids).not.toContain('')
      expect(await gateway.audit()).toEqual(sent)
    }),
    { numRuns: 15, endOnFailure: true },
  )
  for (const end of ['stop reported', 'stop estimated', 'error free', 'error estimated', 'cancelled estimated'])
    expect(ends).toContain(end)
})
