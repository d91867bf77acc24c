import type { MetricName } from '../src/telemetry/metrics.ts'

/** What else a scrape of the gateway brings: prom-client's defaults, and Prometheus's own word on it. */
type ForeignMetric =
  | 'up'
  | 'process_cpu_seconds_total'
  | 'process_open_fds'
  | 'process_max_fds'
  | 'process_resident_memory_bytes'
  | 'nodejs_external_memory_bytes'
  | 'nodejs_heap_size_used_bytes'
  | PrimaryMetric

/** What the primary of several workers adds. */
type PrimaryMetric = 'sluice_workers' | 'sluice_worker_restarts_total'

/** By its full name, so that a search for a metric finds the panels that show it. */
export type Metric = `sluice_${MetricName}` | ForeignMetric

export interface Selection {
  /** Labels to keep apart; everything else is summed. */
  by?: readonly string[]
  /** Further matchers, such as `type="completion"`. */
  where?: string
}

/** Requests of the API: neither probes nor pages. */
export const API = 'route=~"/v1/.+"'

/** The samples of the jobs and instances chosen at the top of the dashboard. */
function select(metric: string, where?: string): string {
  return `${metric}{${['job=~"$job"', 'instance=~"$instance"', ...(where ? [where] : [])].join(',')}}`
}

function sumBy(by: readonly string[], expression: string): string {
  return by.length > 0 ? `sum by (${by.join(', ')}) (${expression})` : `sum(${expression})`
}

/** What a gauge says now. */
export function level(metric: Metric, { by = [], where }: Selection = {}): string {
  return sumBy(by, select(metric, where))
}

/** By how much a counter grows in a second. */
export function rate(metric: Metric, { by = [], where }: Selection = {}): string {
  return sumBy(by, `rate(${select(metric, where)}[$__rate_interval])`)
}

/** By how much a counter has grown between two points of a graph: of what happens now and then. */
export function increase(metric: Metric, { by = [], where }: Selection = {}): string {
  return sumBy(by, `increase(${select(metric, where)}[$__rate_interval])`)
}

/** By how much a counter has grown in all of the time that the dashboard shows. */
export function total(metric: Metric, { by = [], where }: Selection = {}): string {
  return sumBy(by, `increase(${select(metric, where)}[$__range])`)
}

/**
 * Rates for each set of labels in which anything happens. There are many, one for each code of an error, and most
 * stay at 0: a provider without any keeps one line, so that "no errors" does not look like "no data".
 */
export function activeRates(metric: Metric, by: readonly ['provider', string]): string {
  return `${rate(metric, { by })} > 0 or on (provider) 0 * ${rate(metric, { by: ['provider'] })}`
}

/** How many observations came into each bucket of a histogram. */
export function buckets(histogram: Metric, where?: string): string {
  return sumBy(['le'], `increase(${select(`${histogram}_bucket`, where)}[$__rate_interval])`)
}

/** Of nothing there is no quantile: the comparison drops the NaN that Prometheus makes of it. */
export function quantile(q: number, histogram: Metric, { by = [], where }: Selection = {}): string {
  const rates = sumBy(['le', ...by], `rate(${select(`${histogram}_bucket`, where)}[$__rate_interval])`)
  return `histogram_quantile(${q}, ${rates}) >= 0`
}

/** 0 where there is nothing to take a part of, not NaN. */
export function ratio(part: string, whole: string): string {
  return `${part} / (${whole} > 0) or vector(0)`
}

/** The same for each set of labels that `whole` has. */
export function ratioOfEach(part: string, whole: string): string {
  return `${part} / (${whole} > 0) or 0 * ${whole}`
}
