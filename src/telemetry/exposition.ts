import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry, type OpenMetricsContentType } from 'prom-client'
import type { Cell, Exemplar, Family, HistogramCell, Labels } from './instruments.ts'

export interface MetricSpec {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  labelNames: readonly string[]
  registers: Registry[]
}

/** One line, as Prometheus's client writes it. */
interface Sample {
  metricName?: string
  labels?: Labels
  /** Written once and remembered, as long as the object is the same. */
  sharedLabels: Labels
  value: number
  exemplar?: Exemplar | undefined
}

const CLASSES = { counter: Counter, gauge: Gauge, histogram: Histogram }

/**
 * Registers a metric that reads `samples` whenever it is asked. The client's own metrics can only be told their counts
 * one by one, so this one answers what the registry asks when it writes text.
 */
function register({ type, ...spec }: MetricSpec, samples: () => Sample[]): void {
  const metric = new CLASSES[type](spec)
  Object.assign(metric, {
    // Not the name of the spec: for OpenMetrics the registry takes the `_total` off.
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

/** OpenMetrics wants `1.0` where the other format does not care; a series must not depend on the format. */
function writeBound(bound: number): string {
  return Number.isInteger(bound) ? bound.toFixed(1) : String(bound)
}

/**
 * The same metrics, for OpenMetrics. The client takes the `_total` off the names of its counters for good when it
 * writes that format, so it gets objects of its own, which have everything but their names from the others.
 */
export function toOpenMetrics(registry: Registry): Registry<OpenMetricsContentType> {
  const open = new Registry<OpenMetricsContentType>()
  open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  for (const metric of registry.getMetricsAsArray()) open.registerMetric(Object.create(metric))
  return open
}

let ofProcess: Registry | undefined

/** Adds CPU, memory, file descriptors, garbage collection: the client watches them once for all registries. */
export function addProcessMetrics(registry: Registry): void {
  ofProcess ??= watchProcess()
  for (const { name } of ofProcess.getMetricsAsArray()) {
    const metric = ofProcess.getSingleMetric(name)
    if (metric) registry.registerMetric(metric)
  }
}

/**
 * Left out: the event loop's lag, which starts anew with every scrape, so that two scrapers would each see half of it;
 * and the counts of handles, which walk over every socket each time they are asked for.
 */
const LEFT_OUT = /^nodejs_(eventloop_lag|active)_/

function watchProcess(): Registry {
  const registry = new Registry()
  // The timer behind the lag cannot be left out, so it is set to fire once an hour.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 3_600_000 })
  for (const { name } of registry.getMetricsAsArray()) if (LEFT_OUT.test(name)) registry.removeSingleMetric(name)
  return registry
}
