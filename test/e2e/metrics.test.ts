import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { protocols } from '../../src/protocols/index.ts'
import { FINISH_REASONS } from '../../src/stream/events.ts'
import { streamDigest } from '../../src/telemetry/redact.ts'
import { readExposition, type ExposedFamily } from '../support/exposition.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

/** What dashboards and alerts are built on. */
const TABLE: Record<string, [type: string, ...labels: string[]]> = {
  connections_open: ['gauge', 'protocol'],
  streams_open: ['gauge', 'provider'],
  streams_total: ['counter', 'provider', 'protocol', 'finish_reason'],
  frames_sent_total: ['counter', 'protocol', 'event'],
  sent_bytes_total: ['counter', 'protocol'],
  heartbeats_sent_total: ['counter'],
  tokens_total: ['counter', 'provider', 'model', 'type'],
  time_to_first_token_seconds: ['histogram', 'provider', 'model'],
  inter_token_latency_seconds: ['histogram', 'provider'],
  relay_latency_seconds: ['histogram', 'protocol'],
  stream_duration_seconds: ['histogram', 'provider'],
  resumes_total: ['counter', 'result'],
  merged_deltas_total: ['counter'],
  backpressure_waits_total: ['counter'],
  slow_readers_closed_total: ['counter'],
  log_bytes: ['gauge'],
  log_bytes_limit: ['gauge'],
  memory_bytes: ['gauge', 'kind'],
  upstream_requests_total: ['counter', 'provider', 'code'],
  upstream_errors_total: ['counter', 'provider', 'code'],
  upstream_retries_total: ['counter', 'provider', 'reason'],
  breakers_open: ['gauge', 'provider'],
  store_up: ['gauge'],
  store_streams: ['gauge', 'state'],
  node_losses_total: ['counter', 'what'],
  http_requests_total: ['counter', 'route', 'method', 'status'],
  http_time_to_head_seconds: ['histogram', 'route', 'method'],
  limit_refusals_total: ['counter', 'caller', 'limit'],
  event_loop_delay_seconds: ['histogram'],
  caller_streams_total: ['counter', 'caller'],
  caller_tokens_total: ['counter', 'caller', 'type'],
  caller_cost_total: ['counter', 'caller'],
  usage_lines_dropped_total: ['counter'],
  config_reloads_total: ['counter', 'result'],
  certificate_expires_timestamp_seconds: ['gauge'],
  build_info: ['gauge', 'version'],
}

/** Those that have something to say before anything has happened. */
const NOT_ZERO = new Set([
  'sluice_store_up',
  'sluice_log_bytes_limit',
  'sluice_event_loop_delay_seconds',
  'sluice_build_info',
])

const OPEN_METRICS = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'

async function scrape(url: string, accept = '*/*') {
  const reader = await (await open(`${url}/metrics`, { headers: { accept } })).end()
  return { headers: reader.headers, text: reader.body, families: readExposition(reader.body) }
}

function total(family: ExposedFamily | undefined, wanted: Record<string, string> = {}): number {
  const samples = family!.samples.filter(({ labels }) =>
    Object.entries(wanted).every(([name, value]) => labels[name] === value),
  )
  return samples.reduce((sum, { value }) => sum + value, 0)
}

describe('at its start a gateway', () => {
  it('exposes every metric of the table, with its type and labels', async () => {
    const gateway = await startGateway()
    const { families } = await scrape(gateway.url)
    const ours = [...families].filter(([name]) => name.startsWith('sluice_'))
    const found = ours.map(([name, { type, samples }]) => {
      // Without TLS, nothing expires.
      const labels = Object.keys(samples[0]?.labels ?? {}).filter((label) => label !== 'le')
      return [name.slice('sluice_'.length), [type, ...labels]]
    })
    expect(Object.fromEntries(found)).toStrictEqual(TABLE)
    for (const [, { help }] of ours) expect(help).not.toBe('')
  })

  it('counts 0 of all that it knows of', async () => {
    const gateway = await startGateway({}, { providers: [new ScriptedProvider('a'), new ScriptedProvider('b')] })
    const { families } = await scrape(gateway.url)
    for (const [name, { samples }] of families) {
      if (!name.startsWith('sluice_') || NOT_ZERO.has(name)) continue
      expect(samples.filter(({ value }) => value !== 0)).toEqual([])
    }
    const ended = families.get('sluice_streams_total')!.samples.map(({ labels }) => Object.values(labels).join())
    const wanted = ['a', 'b', 'mock'].flatMap((provider) =>
      protocols.names.flatMap((protocol) => FINISH_REASONS.map((reason) => `${provider},${protocol},${reason}`)),
    )
    expect(ended.toSorted()).toEqual(wanted.toSorted())
    const failures = families.get('sluice_upstream_errors_total')!.samples.map(({ labels }) => labels)
    expect(failures).toContainEqual({ provider: 'b', code: 'upstream_timeout' })
    expect(failures).not.toContainEqual(expect.objectContaining({ code: 'invalid_json' }))
  })

  it('says its version and how much its streams may take', async () => {
    const gateway = await startGateway({ storeMaxBytes: 12_345 })
    expect(await gateway.metric('sluice_log_bytes_limit')).toBe(12_345)
    expect((await scrape(gateway.url)).text).toMatch(/^sluice_build_info\{version="\d+\.\d+\.\d+.*"\} 1$/m)
  })

  it('tells of its process too, but of no lag that a second scraper would reset', async () => {
    const gateway = await startGateway()
    const names = [...(await scrape(gateway.url)).families.keys()]
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_heap_size_used_bytes'])
      expect(names).toContain(name)
    expect(names.filter((name) => name.includes('lag'))).toEqual([])
  })
})

describe('what has been counted', () => {
  it('is exactly what the readers of each protocol have received', async () => {
    const gateway = await startGateway()
    const mock = { tokens: 40, interval_ms: 1 }
    const messages = [{ role: 'user', content: 'four tokens is this.' }]
    const first = await (await chat(gateway.url, { messages, mock })).end()
    const again = await (await resume(gateway.url, first.id, 7)).end()
    const body = { model: 'mock', messages, mock, stream: true, max_tokens: 100 }
    const openai = await (await open(`${gateway.url}/v1/chat/completions`, { method: 'POST', body })).end()
    const anthropic = await (await open(`${gateway.url}/v1/messages`, { method: 'POST', body })).end()
    const { families } = await scrape(gateway.url)

    const frames = families.get('sluice_frames_sent_total')
    const native = [...first.messages, ...again.messages]
    expect(total(frames, { protocol: 'native', event: 'delta' })).toBe(native.length - 2)
    expect(total(frames, { protocol: 'native', event: 'done' })).toBe(2)
    expect(total(frames, { protocol: 'openai-chat' })).toBe(openai.messages.length)
    expect(total(frames, { protocol: 'anthropic-messages' })).toBe(anthropic.messages.length)

    const bytes = families.get('sluice_sent_bytes_total')
    const retries = [first, again].map(({ body: text }) => /^retry: \d+\n/.exec(text)![0].length)
    const sent = Buffer.byteLength(first.body + again.body) - retries.reduce((sum, length) => sum + length)
    expect(total(bytes, { protocol: 'native' })).toBe(sent)
    expect(total(bytes, { protocol: 'openai-chat' })).toBe(Buffer.byteLength(openai.body))
    expect(total(bytes, { protocol: 'anthropic-messages' })).toBe(Buffer.byteLength(anthropic.body))

    const tokens = families.get('sluice_tokens_total')
    expect(first.dones[0]!.usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 40 })
    expect(total(tokens, { provider: 'mock', model: 'mock', type: 'prompt' })).toBe(3 * 5)
    expect(total(tokens, { provider: 'mock', model: 'mock', type: 'completion' })).toBe(3 * 40)

    expect(total(families.get('sluice_streams_total'), { finish_reason: 'stop' })).toBe(3)
    expect(total(families.get('sluice_resumes_total'), { result: 'resumed' })).toBe(1)
    for (const name of ['time_to_first_token', 'stream_duration']) {
      const { samples } = families.get(`sluice_${name}_seconds`)!
      expect(samples.find((sample) => sample.name.endsWith('_count'))!.value).toBe(3)
    }
  })

  it('stays within the models of the configuration, whatever clients and providers make up', async () => {
    const provider = new ScriptedProvider('any')
    const { models: _, ...anyModel } = provider
    const config = loadConfig({ providers: ['any'] })
    const models = { fast: 'any/listed', 'wild-*': 'any/*' }
    const gateway = await startGateway(
      { ...config, models },
      { providers: [{ ...anyModel, stream: (request, context) => provider.stream(request, context) }] },
    )
    for (const model of ['fast', 'any/made-up', 'wild-west', 'any/listed']) {
      const reader = await chat(gateway.url, { model })
      const run = await provider.nextRun()
      run.text('a')
      const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
      run.yield({ type: 'done', finish_reason: 'stop', usage, model: 'boast', provider: 'vaunt' })
      await reader.end()
    }
    const { families } = await scrape(gateway.url)
    const tokens = families.get('sluice_tokens_total')!
    expect(total(tokens, { provider: 'any', model: 'listed', type: 'completion' })).toBe(4)
    expect(total(tokens, { provider: 'any', model: 'other', type: 'completion' })).toBe(4)
    const values = [...families.values()].flatMap(({ samples }) => samples.flatMap(({ labels }) => [labels]))
    expect(new Set(values.map(({ model }) => model))).toEqual(new Set([undefined, 'listed', 'other']))
    expect(new Set(values.map((labels) => labels.provider))).toEqual(new Set([undefined, 'any']))
  })

  it('is on the provider that answers, not on the one that was asked first', async () => {
    const [busy, idle] = [new ScriptedProvider('busy'), new ScriptedProvider('idle')]
    const config = loadConfig({ providers: ['busy', 'idle'] })
    const models = { both: [{ target: 'busy/busy', retries: 0 }, 'idle/idle'] }
    const gateway = await startGateway({ ...config, models }, { providers: [busy, idle] })
    const reader = await chat(gateway.url, { model: 'both' })
    const failing = await busy.nextRun()
    expect(await gateway.metric('sluice_streams_open{provider="busy"}')).toBe(1)
    failing.fail(new Error('no'))
    const run = await idle.nextRun()
    run.text('a')
    await reader.until(({ text }) => text === 'a')
    expect(await gateway.metric('sluice_streams_open{provider="busy"}')).toBe(0)
    expect(await gateway.metric('sluice_streams_open{provider="idle"}')).toBe(1)
    run.done()
    await reader.end()
    expect(await gateway.metric('sluice_streams_open{provider="idle"}')).toBe(0)
    expect(await gateway.metric('sluice_upstream_errors_total{provider="busy",code="provider_failed"}')).toBe(1)
  })
})

describe('/metrics', () => {
  it('is in the text format for whoever asks for nothing else', async () => {
    const gateway = await startGateway()
    for (const accept of ['*/*', 'text/plain', 'text/html', 'text/plain, application/openmetrics-text;q=0.5']) {
      const { headers, text } = await scrape(gateway.url, accept)
      expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
      expect(text).not.toContain('# EOF')
    }
  })

  it('is in OpenMetrics for a scraper that prefers it, whatever parameters it gives', async () => {
    const gateway = await startGateway()
    for (const accept of [
      OPEN_METRICS,
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3',
    ]) {
      const { headers, text } = await scrape(gateway.url, accept)
      expect(headers['content-type']).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
      expect(text).toMatch(/\n# EOF\n$/)
    }
  })

  it('has the same series in both, also after the other has been asked for', async () => {
    const gateway = await startGateway()
    const series = ({ families }: Awaited<ReturnType<typeof scrape>>) =>
      [...families.values()]
        .flatMap(({ samples }) => samples.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`))
        .filter((each) => !each.includes('_gc_duration_'))
    const text = await scrape(gateway.url)
    const openMetrics = await scrape(gateway.url, OPEN_METRICS)
    expect(series(openMetrics)).toEqual(series(text))
    expect(series(await scrape(gateway.url))).toEqual(series(text))
    expect(openMetrics.families.get('sluice_streams')?.type).toBe('counter')
  })

  it('leads from a bucket to a stream that is in it', async () => {
    const gateway = await startGateway()
    const before = Date.now() / 1000
    const reader = await (await chat(gateway.url, { mock: { tokens: 3, interval_ms: 1 } })).end()
    const { families } = await scrape(gateway.url, OPEN_METRICS)
    for (const name of ['sluice_time_to_first_token_seconds', 'sluice_stream_duration_seconds', 'sluice_streams']) {
      const shown = families.get(name)!.samples.filter(({ exemplar }) => exemplar)
      expect(shown).toHaveLength(1)
      const [{ labels, exemplar }] = shown as [(typeof shown)[number]]
      expect(exemplar?.labels).toEqual({ stream: streamDigest(reader.id) })
      expect(exemplar?.timestamp).toBeGreaterThanOrEqual(before)
      if (labels.le !== undefined) expect(exemplar?.value).toBeLessThanOrEqual(Number(labels.le))
    }
    for (const accept of [undefined, OPEN_METRICS])
      expect((await scrape(gateway.url, accept)).text).not.toContain(reader.id)
  })
})
