import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Range, Series } from '../../grafana/prometheus-server.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { answers, refuses, text } from '../support/openai-upstream.ts'
import { ROOT } from '../support/process.ts'
import { startPrometheus, type Prometheus, type Vector } from '../support/prometheus.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { startUpstream } from '../support/upstream.ts'
import { Clients } from './clients.ts'
import { targets } from './dashboard-file.ts'
import { behave, idle, misbehave } from './load.ts'
import type { Counts, Tally } from './tally.ts'

/** A Prometheus scrapes seldom, a test is short. */
const INTERVAL_MS = 500

/** What Grafana makes of a scrape interval of 15 s, the usual one. */
const RATE_INTERVAL = '1m'

/** What a counter says at last, by these labels, where it is not 0. */
type Counter = (metric: string, ...labels: string[]) => Counts

/** Everything that the tests ask of one run: what the clients counted, and what Prometheus says of it. */
export interface Recording {
  tally: Tally
  /** Requests that the upstreams saw. */
  attempts: Counts
  /** Of the gateway whose clients counted along. */
  counter: Counter
  /** Of the one whose readers do not behave. */
  unruly: Counter
  /** Of each query of the dashboard, over the whole run. */
  panels: Shown[]
  /** The same before anything has happened. */
  idle: Shown[]
  /** Streams that are examples of what a panel shows, by the panel's queries that ask for them. */
  examples: { expression: string; streams: (string | undefined)[] }[]
  rules: Rule[]
  /** Of each rule that records something. */
  recorded: { name: string; series: Series[] }[]
}

interface Shown {
  title: string
  expression: string
  unit: string | undefined
  series: Series[]
}

interface Rule {
  name: string
  type: 'recording' | 'alerting'
  health: string
  lastError?: string
}

/** A real Prometheus with the rules, two real gateways, and clients of all kinds on real sockets. */
export async function record(program: string): Promise<Recording> {
  const upstreams = {
    openai: await startUpstream(answers(text)),
    broken: await startUpstream(refuses(503, 'server_error')),
  }
  const scripted = new ScriptedProvider()
  const gateway = await startGateway(
    {
      heartbeatMs: 100,
      providers: {
        mock: { type: 'mock' },
        openai: openai(upstreams.openai.url, 'gpt-test'),
        broken: openai(upstreams.broken.url, 'gpt-broken'),
      },
      models: { assistant: ['broken/gpt-broken', 'openai/gpt-test'] },
      breaker: { failures: 2, cooldownMs: 60_000 },
      prices: { '*': { input: 1, output: 4 } },
    },
    { providers: [scripted] },
  )
  const flood = new ScriptedProvider('flood')
  const unruly = await startGateway(
    { slowReaderMs: 200, resumeWindowMs: 50, streamMaxBytes: 64 * 1024 ** 2, limits: { maxTokens: 1000 } },
    { providers: [flood] },
  )
  const rules = readdirSync(join(ROOT, 'grafana/rules'))
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(ROOT, 'grafana/rules', name))
  const prometheus = await startPrometheus(program, [gateway.url, unruly.url], { interval: `${INTERVAL_MS}ms`, rules })
  await scrapedSince(prometheus, 0)
  // A rate takes two.
  await scrapedSince(prometheus, Date.now())
  const start = Date.now() / 1000
  const before = await show(prometheus, { start, end: start, step: 1 })

  const clients = new Clients(gateway, scripted)
  await Promise.all([behave(clients), misbehave(unruly, flood)])
  await Promise.all([idle(gateway), idle(unruly)])
  await scrapedSince(prometheus, Date.now())
  // Rules that are made of others are a round behind them.
  await evaluatedSince(prometheus, Date.now())
  await evaluatedSince(prometheus, Date.now())

  const range = { start, end: Date.now() / 1000, step: INTERVAL_MS / 1000 }
  const { groups } = await prometheus.ask<{ groups: { rules: Rule[] }[] }>('/api/v1/rules')
  const all = groups.flatMap((group) => group.rules)
  const recordings = all.filter(({ type }) => type === 'recording')
  const { result: samples } = await prometheus.ask<Vector>('/api/v1/query', { query: '{job="sluice"}' })
  return {
    tally: clients.tally,
    attempts: Object.fromEntries(Object.entries(upstreams).map(([name, { requests }]) => [name, requests.length])),
    counter: counterOf(gateway, samples),
    unruly: counterOf(unruly, samples),
    panels: await show(prometheus, range),
    idle: before,
    examples: await Promise.all(
      targets
        .filter(({ exemplar }) => exemplar)
        .map(async ({ expr }) => ({
          expression: fillIn(expr),
          streams: await findExamples(prometheus, fillIn(expr), range),
        })),
    ),
    rules: all,
    recorded: await Promise.all(
      recordings.map(async ({ name }) => ({ name, series: await prometheus.queryRange(name, range) })),
    ),
  }
}

function openai(baseUrl: string, model: string) {
  return { type: 'openai' as const, baseUrl, apiKey: 'k', models: [model], headers: {}, includeUsage: true }
}

function show(prometheus: Prometheus, range: Range): Promise<Shown[]> {
  return Promise.all(
    targets.map(async ({ expr, panel: { title, fieldConfig } }) => {
      const expression = fillIn(expr)
      const series = await prometheus.queryRange(expression, range)
      return { title, expression, unit: fieldConfig?.defaults?.unit, series }
    }),
  )
}

/** https://prometheus.io/docs/prometheus/latest/querying/api/#querying-exemplars */
async function findExamples(prometheus: Prometheus, query: string, { start, end }: Range) {
  const times = { start: String(start), end: String(end) }
  const found = await prometheus.ask<{ exemplars: { labels: Record<string, string> }[] }[]>('/api/v1/query_exemplars', {
    query,
    ...times,
  })
  return found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.stream))
}

/** As Grafana does with what is chosen when a dashboard is opened for the first time. */
function fillIn(expression: string): string {
  const filled = expression
    .replaceAll('$job', 'sluice')
    .replaceAll('$instance', '.+')
    .replaceAll('$__rate_interval', RATE_INTERVAL)
    .replaceAll('$__range', RATE_INTERVAL)
  expect(filled).not.toContain('$')
  return filled
}

function counterOf({ url }: TestGateway, samples: Vector['result']): Counter {
  const { host } = new URL(url)
  return (wanted, ...labels) => {
    const counts: Counts = {}
    for (const { metric, value } of samples) {
      const { __name__: name, instance } = metric
      if (name !== wanted || instance !== host || Number(value[1]) === 0) continue
      const key = labels.map((label) => metric[label]).join(' ')
      counts[key] = (counts[key] ?? 0) + Number(value[1])
    }
    return counts
  }
}

/** Waits for a scrape of both gateways that began after this moment, in milliseconds. */
async function scrapedSince(prometheus: Prometheus, moment: number): Promise<void> {
  const query = 'timestamp(up{job="sluice"}) and up{job="sluice"} == 1'
  await prometheus.askUntil<Vector>(
    '/api/v1/query',
    { query },
    ({ result }) => result.length === 2 && result.every(({ value }) => Number(value[1]) * 1000 > moment),
  )
}

/** Waits until each group of rules has been evaluated after this moment, in milliseconds. */
async function evaluatedSince(prometheus: Prometheus, moment: number): Promise<void> {
  await prometheus.askUntil<{ groups: { lastEvaluation: string }[] }>('/api/v1/rules', {}, ({ groups }) =>
    groups.every(({ lastEvaluation }) => Date.parse(lastEvaluation) > moment),
  )
}
