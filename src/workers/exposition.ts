// Metrics of several processes as one: https://prometheus.io/docs/specs/om/open_metrics_spec/

/** The metrics of a process by name, as read from OpenMetrics. */
export type Exposition = Map<string, ExposedFamily>

interface ExposedFamily {
  readonly type: string
  readonly help: string
  /** By name and labels. */
  readonly samples: Map<string, Sample>
}

interface Sample {
  readonly value: number
  /** With what precedes it on the line. */
  readonly exemplar: string
}

/**
 * Gauges that are not added up, but whose largest value counts:
 *
 * - the same in all workers, and 1 in each
 * - the start of the worker that started last: it tells that counters of one may have begun again
 * - each worker has breakers of its own for the same targets
 * - all workers have the same certificate
 *
 * Limits of memory and of files are added up: each worker may use as much, and what they use is added up, too.
 */
const LARGEST: ReadonlySet<string> = new Set([
  'sluice_build_info',
  'nodejs_version_info',
  'process_start_time_seconds',
  'sluice_breakers_open',
  'sluice_certificate_expires_timestamp_seconds',
])

const SAMPLE = /^(\w+(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?) (\S+)( # .*)?$/

/** @param text OpenMetrics, as `Metrics` writes it */
export function readExposition(text: string): Exposition {
  const families: Exposition = new Map()
  let help = ''
  let current: ExposedFamily | undefined
  for (const line of text.split('\n')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line) ?? []
    if (keyword === 'HELP') help = rest
    else if (keyword === 'TYPE') families.set(name, (current = { type: rest, help, samples: new Map() }))
    else {
      const [, series, value, exemplar = ''] = SAMPLE.exec(line) ?? []
      if (series !== undefined) current?.samples.set(series, { value: Number(value), exemplar })
    }
  }
  return families
}

/** An exemplar is the one of the last that has one. */
export function sumExpositions(all: readonly Exposition[]): Exposition {
  const sum: Exposition = new Map()
  for (const families of all)
    for (const [name, { type, help, samples }] of families) {
      let added = sum.get(name)
      if (!added) sum.set(name, (added = { type, help, samples: new Map() }))
      for (const [series, { value, exemplar }] of samples) {
        const before = added.samples.get(series)
        added.samples.set(series, {
          value: LARGEST.has(name) ? Math.max(before?.value ?? -Infinity, value) : (before?.value ?? 0) + value,
          exemplar: exemplar === '' ? (before?.exemplar ?? '') : exemplar,
        })
      }
    }
  return sum
}

/** What never goes down: counters and histograms. */
export function countersOf(families: Exposition): Exposition {
  return new Map([...families].filter(([, { type }]) => type === 'counter' || type === 'histogram'))
}

/** One number, without labels unless they are given as in an exposition. */
export function single(name: string, type: 'counter' | 'gauge', help: string, value: number, labels = ''): Exposition {
  const series = `${type === 'counter' ? `${name}_total` : name}${labels}`
  return new Map([[name, { type, help, samples: new Map([[series, { value, exemplar: '' }]]) }]])
}

/** @param open as OpenMetrics, or else in the text format of Prometheus, which has no exemplars */
export function writeExposition(families: Exposition, open: boolean): string {
  const lines: string[] = []
  for (const [name, { type, help, samples }] of families) {
    const exposed = type === 'counter' && !open ? `${name}_total` : name
    lines.push(`# HELP ${exposed} ${help}`, `# TYPE ${exposed} ${type}`)
    for (const [series, { value, exemplar }] of samples)
      lines.push(`${series} ${writeValue(value)}${open ? exemplar : ''}`)
    if (!open) lines.push('')
  }
  if (open) lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

function writeValue(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}
