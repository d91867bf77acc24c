/** One line of an exposition. */
export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
  /** What stands behind the `#` of an OpenMetrics line. */
  exemplar?: { labels: Record<string, string>; value: number; timestamp: number }
}

export interface ExposedFamily {
  type: string
  help: string
  samples: Sample[]
}

const SAMPLE = /^(\w+)(?:\{(.*?)\})? (\S+)(?: # \{(.*?)\} (\S+) (\S+))?$/

/** Reads what the tests need of both formats: it fails at what it does not understand. */
export function readExposition(text: string): Map<string, ExposedFamily> {
  const families = new Map<string, ExposedFamily>()
  let current: ExposedFamily | undefined
  for (const line of text.split('\n')) {
    if (line === '' || line === '# EOF') continue
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (keyword === 'HELP') families.set(name, (current = { type: '', help: rest, samples: [] }))
    else if (keyword === 'TYPE') families.get(name)!.type = rest
    else current!.samples.push(readSample(line))
  }
  return families
}

function readSample(line: string): Sample {
  const match = SAMPLE.exec(line)
  if (!match) throw new Error(`This is no sample: ${line}`)
  const [, name = '', labels = '', value, exemplarLabels, exemplarValue, timestamp] = match
  return {
    name,
    labels: readLabels(labels),
    value: Number(value),
    ...(exemplarLabels !== undefined && {
      exemplar: { labels: readLabels(exemplarLabels), value: Number(exemplarValue), timestamp: Number(timestamp) },
    }),
  }
}

function readLabels(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]))
}
