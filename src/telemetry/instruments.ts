import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/**
 * Counters, gauges and histograms that cost an addition or two. Their numbers are plain fields that Prometheus's
 * client reads when it is asked for them; its own `inc` and `observe` hash their labels each time, which is more than
 * a frame can afford.
 */
export class Cell {
  value = 0
  add(amount = 1): void {
    this.value += amount
  }
}

export class HistogramCell {
  readonly bounds: readonly number[]
  /** Observations up to each bound and above the one before it; the last is for what is above all. */
  readonly counts: number[]
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number): void {
    const { bounds, counts } = this
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] ?? Infinity)) bucket += 1
    counts[bucket] = (counts[bucket] ?? 0) + 1
    this.sum += value
  }
}

type Labels = Record<string, string>

/** All cells of one metric, one for each set of labels; a set starts at 0 the first time it is asked for. */
export class Family<C> {
  readonly #create: () => C
  readonly #cells = new Map<string, { labels: Labels; cell: C }>()

  constructor(create: () => C) {
    this.#create = create
  }

  cell(labels: Labels): C {
    const key = Object.values(labels).join('\0')
    let found = this.#cells.get(key)
    if (!found) this.#cells.set(key, (found = { labels, cell: this.#create() }))
    return found.cell
  }

  all(): Iterable<{ labels: Labels; cell: C }> {
    return this.#cells.values()
  }
}

export interface FamilySpec {
  name: string
  help: string
  labelNames: readonly string[]
  registers: Registry[]
}

export function registerCounter(spec: FamilySpec, family: Family<Cell>): void {
  const counter: Counter = new Counter({
    ...spec,
    collect() {
      counter.reset()
      for (const { labels, cell } of family.all()) counter.inc(labels, cell.value)
    },
  })
}

export function registerGauge(spec: FamilySpec, family: Family<Cell>): void {
  const gauge: Gauge = new Gauge({
    ...spec,
    collect() {
      for (const { labels, cell } of family.all()) gauge.set(labels, cell.value)
    },
  })
}

/** A histogram of the client cannot be told its counts, so this one answers the registry itself. */
export class FamilyHistogram extends Histogram {
  readonly #spec: FamilySpec
  readonly #family: Family<HistogramCell>

  constructor(spec: FamilySpec, family: Family<HistogramCell>) {
    super(spec)
    this.#spec = spec
    this.#family = family
  }

  /** What the registry asks for when it writes text, and what `get` is made of. */
  async getForPromString() {
    const { name, help } = this.#spec
    const values = [...this.#family.all()].flatMap(({ labels, cell }) => histogramSamples(name, labels, cell))
    return { name, help, type: 'histogram', aggregator: 'sum', values }
  }
}

function histogramSamples(name: string, labels: Labels, { bounds, counts, sum }: HistogramCell) {
  let count = 0
  const buckets = [...bounds, '+Inf'].map((le, index) => {
    count += counts[index] ?? 0
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ]
}
