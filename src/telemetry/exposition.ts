import { Counter, Gauge, Histogram, Registry, type OpenMetricsContentType } from 'prom-client'
import type { Cell, Exemplar, Family, HistogramCell, Labels } from './instruments.ts'

export interface MetricSpec {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  labelNames: readonly string[]
  registers: Registry[]
}

/** One line of the text format, in the form that prom-client writes. */
interface Sample {
  metricName?: string
  labels?: Labels
  /** prom-client caches their text by object identity. */
  sharedLabels: Labels
  value: number
  exemplar?: Exemplar | undefined
}

const CLASSES = { counter: Counter, gauge: Gauge, histogram: Histogram }

/**
 * Registers a metric that calls `samples` on each scrape. prom-client's own metrics accept only single observations, so
 * this overrides the method that the registry calls to write text.
 */
function register({ type, ...spec }: MetricSpec, samples: () => Sample[]): void {
  const metric = new CLASSES[type](spec)
  Object.assign(metric, {
    // `this.name`, not `spec.name`: for OpenMetrics the registry strips `_total` from it.
    async getForPromString(this: MetricSpec) {
      return { name: this.name, help: spec.help, type, values: samples() }
    },
  })
}

export function registerCells(spec: MetricSpec, family: Family<Cell>): void {
  register(spec, () =>
    [...family.all()].map(({ labels, cell: { value, exemplar } }) => ({ sharedLabels: labels, value, exemplar })),
  )
}

export function registerHistogram(spec: MetricSpec, family: Family<HistogramCell>): void {
  register(spec, () => [...family.all()].flatMap(({ labels, cell }) => histogramSamples(spec.name, labels, cell)))
}

function histogramSamples(name: string, labels: Labels, cell: HistogramCell): Sample[] {
  const { counts, exemplars, sum } = cell
  let count = 0
  const buckets = bucketLabels(labels, cell).map((sharedLabels, index) => {
    count += counts[index] ?? 0
    return { metricName: `${name}_bucket`, sharedLabels, value: count, exemplar: exemplars[index] }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, sharedLabels: labels, value: sum },
    { metricName: `${name}_count`, sharedLabels: labels, value: count },
  ]
}

const labelsOfBuckets = new WeakMap<HistogramCell, Labels[]>()

function bucketLabels(labels: Labels, cell: HistogramCell): Labels[] {
  let known = labelsOfBuckets.get(cell)
  if (!known)
    labelsOfBuckets.set(cell, (known = [...cell.bounds.map(writeBound), '+Inf'].map((le) => ({ le, ...labels }))))
  return known
}

/** OpenMetrics requires `1.0`; the Prometheus format accepts it, too. Labels must not depend on the format. */
function writeBound(bound: number): string {
  return Number.isInteger(bound) ? bound.toFixed(1) : String(bound)
}

/**
 * The same metrics, for OpenMetrics. When prom-client writes that format, it strips `_total` from counter names for
 * good. So it gets separate objects that inherit everything but their names.
 */
export function toOpenMetrics(registry: Registry): Registry<OpenMetricsContentType> {
  const open = new Registry<OpenMetricsContentType>()
  open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  for (const metric of registry.getMetricsAsArray()) open.registerMetric(Object.create(metric))
  return open
}
