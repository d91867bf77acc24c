import { Registry, type OpenMetricsContentType } from 'prom-client'
import { registerCells, registerHistogram, toOpenMetrics } from './exposition.ts'
import { Cell, Family, HistogramCell } from './instruments.ts'
import { addProcessMetrics } from './process-metrics.ts'

/**
 * Every metric: its type, what it says, its labels, its buckets. Names are prefixed with `sluice_`; a label has few
 * values, all known from the start, and never one that a client can choose.
 */
const METRICS = {
  connections_open: { type: 'gauge', help: 'Readers connected now.', labels: ['protocol'] },
  streams_open: { type: 'gauge', help: 'Streams that have not ended.', labels: ['provider'] },
  streams_total: {
    type: 'counter',
    help: 'Streams that have ended, by how.',
    labels: ['provider', 'protocol', 'finish_reason'],
  },
  frames_sent_total: { type: 'counter', help: 'Frames written to readers.', labels: ['protocol', 'event'] },
  sent_bytes_total: { type: 'counter', help: 'Bytes of frames written to readers.', labels: ['protocol'] },
  heartbeats_sent_total: { type: 'counter', help: 'Heartbeat comments written to readers.', labels: [] },
  tokens_total: {
    type: 'counter',
    help: 'Tokens of prompts and completions, as the providers counted them or as estimated.',
    labels: ['provider', 'model', 'type'],
  },
  time_to_first_token_seconds: {
    type: 'histogram',
    help: 'From the start of a generation to its first token.',
    labels: ['provider', 'model'],
    // OpenTelemetry’s for gen_ai.server.time_to_first_token, and on to a minute for those that reason first.
    buckets: [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 15, 30, 60],
  },
  inter_token_latency_seconds: {
    type: 'histogram',
    help: 'Between two arrivals of tokens from a provider.',
    labels: ['provider'],
    // Those below 10 ms, then OpenTelemetry’s for gen_ai.server.time_per_output_token.
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5],
  },
  relay_latency_seconds: {
    type: 'histogram',
    help: 'From the arrival of bytes from a provider to the write of their frames to a reader’s socket.',
    labels: ['protocol'],
    buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
  },
  stream_duration_seconds: {
    type: 'histogram',
    help: 'From the start of a generation to its end.',
    labels: ['provider'],
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600],
  },
  resumes_total: { type: 'counter', help: 'Requests to read a stream from a cursor, by outcome.', labels: ['result'] },
  merged_deltas_total: { type: 'counter', help: 'Deltas that left within the frame of another.', labels: [] },
  backpressure_waits_total: { type: 'counter', help: 'Times that a reader’s socket was full.', labels: [] },
  slow_readers_closed_total: { type: 'counter', help: 'Readers closed because they did not read.', labels: [] },
  log_bytes: { type: 'gauge', help: 'Estimated memory of all kept streams.', labels: [] },
  log_bytes_limit: { type: 'gauge', help: 'Memory that may be held in all (STORE_MAX_BYTES).', labels: [] },
  memory_bytes: {
    type: 'gauge',
    help: 'Estimated memory held for clients and upstreams, by purpose.',
    labels: ['kind'],
  },
  upstream_requests_total: {
    type: 'counter',
    help: 'Attempts to get an answer from a provider, by how they ended: ok, cancelled or an error code.',
    labels: ['provider', 'code'],
  },
  upstream_errors_total: {
    type: 'counter',
    help: 'Attempts that failed, by error code.',
    labels: ['provider', 'code'],
  },
  upstream_retries_total: {
    type: 'counter',
    help: 'Further attempts with the same target, by the code of the error that asked for them.',
    labels: ['provider', 'reason'],
  },
  breakers_open: {
    type: 'gauge',
    help: 'Targets that are left alone because they failed too often.',
    labels: ['provider'],
  },
  http_requests_total: {
    type: 'counter',
    help: 'Requests by the template of their route, method and status; for an event stream, once it has begun.',
    labels: ['route', 'method', 'status'],
  },
  http_time_to_head_seconds: {
    type: 'histogram',
    help: 'From a request of the API to the head of its response.',
    labels: ['route', 'method'],
    buckets: [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  limit_refusals_total: {
    type: 'counter',
    help: 'Requests refused by a limit, by the name of their key or issuer.',
    labels: ['caller', 'limit'],
  },
  event_loop_delay_seconds: {
    type: 'histogram',
    help: 'How late a timer fired that is set again and again: how long everything else has to wait.',
    labels: [],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  caller_streams_total: {
    type: 'counter',
    help: 'Streams that have ended, by the name of the key that paid.',
    labels: ['caller'],
  },
  caller_tokens_total: {
    type: 'counter',
    help: 'Tokens of prompts and completions, by the name of the key that paid.',
    labels: ['caller', 'type'],
  },
  caller_cost_total: {
    type: 'counter',
    help: 'Cost by the name of the key that paid, in the currency of the configured prices.',
    labels: ['caller'],
  },
  usage_lines_dropped_total: {
    type: 'counter',
    help: 'Lines for USAGE_LOG that were lost because they could not be written.',
    labels: [],
  },
  store_up: {
    type: 'gauge',
    help: 'Whether the store that nodes share can be written; 1 where there is none.',
    labels: [],
  },
  store_streams: {
    type: 'gauge',
    help: 'Streams of this node whose end is not shared yet, and streams of other nodes that it follows.',
    labels: ['state'],
  },
  node_losses_total: {
    type: 'counter',
    help: 'Leases that this node lost by a pause; its streams that others ended; streams of lost nodes that it ended.',
    labels: ['what'],
  },
  config_reloads_total: {
    type: 'counter',
    help: 'Times that the configuration was read again, by whether it is now in force.',
    labels: ['result'],
  },
  certificate_expires_timestamp_seconds: {
    type: 'gauge',
    help: 'When the TLS certificate expires, in seconds since 1970; none without TLS.',
    labels: [],
  },
  build_info: { type: 'gauge', help: 'Always 1; the version is on the label.', labels: ['version'] },
} as const satisfies Record<string, MetricSpec>

interface MetricSpec {
  type: 'counter' | 'gauge' | 'histogram'
  help: string
  labels: readonly string[]
  buckets?: readonly number[]
}

type Specs = typeof METRICS
export type MetricName = keyof Specs
type Labels<N extends MetricName> = Record<Specs[N]['labels'][number], string>

export const RESUME_RESULTS = ['resumed', 'finished', 'expired', 'unknown', 'invalid'] as const
export type ResumeResult = (typeof RESUME_RESULTS)[number]

/** Label value for everything without a label of its own. */
export const OTHER = 'other'

type CellMetric = { [N in MetricName]: Specs[N]['type'] extends 'histogram' ? never : N }[MetricName]
type HistogramMetric = Exclude<MetricName, CellMetric>

/** By provider, the models that have a label of their own; all others share one. */
export type KnownModels = ReadonlyMap<string, ReadonlySet<string>>

/**
 * The metrics of a gateway and of its process, in a registry of their own. A label set starts at 0 the first time it
 * is asked for.
 */
export class Metrics {
  /** In the text format of Prometheus. */
  readonly registry = new Registry()
  /** The same with exemplars: https://prometheus.io/docs/specs/om/open_metrics_spec/ */
  readonly openMetrics: Registry<OpenMetricsContentType>
  #knownModels: KnownModels
  readonly #cells = new Map<string, Family<Cell>>()
  readonly #histograms = new Map<string, Family<HistogramCell>>()

  constructor(knownModels: KnownModels = new Map()) {
    this.#knownModels = knownModels
    for (const [short, { type, help, labels, buckets = [] }] of Object.entries<MetricSpec>(METRICS)) {
      const spec = { name: `sluice_${short}`, help, type, labelNames: labels, registers: [this.registry] }
      if (type === 'histogram') {
        const family = new Family(() => new HistogramCell(buckets))
        this.#histograms.set(short, family)
        registerHistogram(spec, family)
      } else {
        const family = new Family(() => new Cell())
        this.#cells.set(short, family)
        registerCells(spec, family)
      }
    }
    addProcessMetrics(this.registry)
    this.openMetrics = toOpenMetrics(this.registry)
  }

  /** Gives these models labels of their own, in place of those known before. */
  knowModels(models: KnownModels): void {
    this.#knownModels = models
  }

  /** The cell of a counter or gauge; ask once and keep it. */
  cell<N extends CellMetric>(name: N, labels: Labels<N>): Cell {
    return this.#cells.get(name)?.cell(labels) ?? unknown(name)
  }

  /** The cell of a histogram, in seconds; ask once and keep it. */
  histogram<N extends HistogramMetric>(name: N, labels: Labels<N>): HistogramCell {
    return this.#histograms.get(name)?.cell(labels) ?? unknown(name)
  }

  /** A gauge whose value is looked up when it is scraped. */
  watch<N extends CellMetric>(name: N, labels: Labels<N>, read: () => number): void {
    Object.defineProperty(this.cell(name, labels), 'value', { get: read })
  }

  /** The labels of a model, whose name may be the client's to choose. */
  modelLabels({ provider, model }: { provider: string; model: string }): { provider: string; model: string } {
    return { provider, model: this.#knownModels.get(provider)?.has(model) ? model : OTHER }
  }

  async text(): Promise<string> {
    return this.registry.metrics()
  }
}

function unknown(name: string): never {
  throw new Error(`There is no metric ${name}`)
}
