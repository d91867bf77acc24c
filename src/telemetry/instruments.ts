import { streamDigest } from './redact.ts'

/**
 * Counters, gauges and histograms that cost an addition or two. Their numbers are plain fields that Prometheus's
 * client reads when it is asked for them; its own `inc` and `observe` hash their labels each time, which is more than
 * a frame can afford.
 */
export class Cell {
  value = 0
  exemplar: Exemplar | undefined

  add(amount = 1): void {
    this.value += amount
  }

  /** Adds one, with the stream as exemplar. */
  addStream(streamId: string): void {
    this.value += 1
    this.exemplar = new Exemplar(1, streamId)
  }
}

export class HistogramCell {
  readonly bounds: readonly number[]
  /** Observations per bucket, not cumulative; the last bucket is for values above all bounds. */
  readonly counts: number[]
  /** Latest observation with a known stream, per bucket. */
  readonly exemplars: (Exemplar | undefined)[] = []
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number): void {
    this.#count(value)
  }

  /** Observes the value, with its stream as exemplar. */
  observeStream(value: number, streamId: string): void {
    this.exemplars[this.#count(value)] = new Exemplar(value, streamId)
  }

  #count(value: number): number {
    const { bounds, counts } = this
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] ?? Infinity)) bucket += 1
    counts[bucket] = (counts[bucket] ?? 0) + 1
    this.sum += value
    return bucket
  }
}

/**
 * Links a number on a dashboard to one of its streams, by the digest of the stream's id.
 * https://prometheus.io/docs/specs/om/open_metrics_spec/#exemplars
 */
export class Exemplar {
  readonly value: number
  /** Seconds since the epoch. */
  readonly timestamp = Date.now() / 1000
  readonly #streamId: string

  constructor(value: number, streamId: string) {
    this.value = value
    this.#streamId = streamId
  }

  /** Built on demand: few exemplars are ever read. */
  get labelSet(): { stream: string } {
    return { stream: streamDigest(this.#streamId) }
  }
}

export type Labels = Readonly<Record<string, string>>

/** All cells of one metric, one for each set of labels; a set starts at 0 the first time it is asked for. */
export class Family<C> {
  readonly #create: () => C
  readonly #cells = new Map<string, { labels: Labels; cell: C }>()

  constructor(create: () => C) {
    this.#create = create
  }

  cell(labels: Labels): C {
    // Runs ten times for each stream: a list of the values would cost more than the look-up.
    let key = ''
    for (const name in labels) key += `${labels[name]}\0`
    let found = this.#cells.get(key)
    if (!found) this.#cells.set(key, (found = { labels, cell: this.#create() }))
    return found.cell
  }

  all(): Iterable<{ labels: Labels; cell: C }> {
    return this.#cells.values()
  }
}
