import { legend, type Panel, type Row } from '../panel.ts'
import { buckets, quantile, type Metric } from '../queries.ts'

interface Duration {
  metric: Metric
  name: string
  tells: string
  by: readonly string[]
  exemplars?: boolean
}

const DURATIONS: readonly Duration[] = [
  {
    metric: 'sluice_time_to_first_token_seconds',
    name: 'Time to first token',
    tells: 'From the request’s generation to its first token: what a user waits for. Retries and fallbacks count.',
    by: ['provider', 'model'],
    exemplars: true,
  },
  {
    metric: 'sluice_inter_token_latency_seconds',
    name: 'Inter-token latency',
    tells: 'Between two arrivals of tokens from a provider. Above 100 ms text is slower than people read.',
    by: ['provider'],
  },
  {
    metric: 'sluice_relay_latency_seconds',
    name: 'Relay latency',
    tells:
      'What the gateway adds: from the arrival of a provider’s bytes to the write to a reader, FLUSH_INTERVAL_MS included. ' +
      'Tens of milliseconds beyond it: the gateway is short of CPU.',
    by: ['protocol'],
  },
  {
    metric: 'sluice_stream_duration_seconds',
    name: 'Stream duration',
    tells: 'From the start of a generation to its end. It sets how long a drain has to last (DRAIN_MS).',
    by: ['provider'],
  },
]

const QUANTILES = [0.5, 0.95, 0.99]

/** How it is distributed, its quantiles, and who is slow. */
function panelsOf({ metric, name, tells, by, exemplars = false }: Duration): Panel[] {
  return [
    {
      kind: 'heatmap',
      title: name,
      description: `${tells} Each column is the distribution at one time.`,
      unit: 's',
      width: 8,
      query: buckets(metric),
    },
    {
      kind: 'time series',
      title: `${name}: quantiles`,
      description: tells,
      unit: 's',
      width: 8,
      queries: QUANTILES.map((q) => ({ expression: quantile(q, metric), legend: `p${q * 100}`, exemplars })),
    },
    {
      kind: 'time series',
      title: `${name}: p95 by ${by.join(' and ')}`,
      description: `${tells} One in twenty is slower than this.`,
      unit: 's',
      width: 8,
      queries: [{ expression: quantile(0.95, metric, { by }), legend: legend(...by) }],
    },
  ]
}

export const latency: Row = { title: 'Latency', panels: DURATIONS.flatMap(panelsOf) }
