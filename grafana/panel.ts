/** A panel as the rows write it down; `render.ts` makes Grafana's out of it. */
export type Panel = Stat | TimeSeries | Heatmap

interface Common {
  title: string
  /** What it tells, and when to worry. */
  description: string
  unit: Unit
  /** Of the 24 columns of the page. */
  width: number
}

/** One number, its recent course behind it. */
export interface Stat extends Common {
  kind: 'stat'
  query: string
  /** From which value on it is yellow, and red; without them it has no colour that judges. */
  thresholds?: { yellow?: number; red: number }
}

export interface TimeSeries extends Common {
  kind: 'time series'
  queries: readonly Query[]
  /** The parts of a whole, one upon the other. */
  stacked?: boolean
  /** The top of the axis. */
  max?: number
}

/** The distribution of a histogram over time. */
export interface Heatmap extends Common {
  kind: 'heatmap'
  query: string
}

export interface Query {
  expression: string
  /** `{{label}}` stands for the label's value. */
  legend: string
  /** Shows single observations as points, where the gateway kept any. */
  exemplars?: boolean
}

/** As Grafana writes them in a dashboard; `suffix:` is one of our own. */
export type Unit = 'short' | 's' | 'bytes' | 'binBps' | 'percentunit' | 'suffix:/s'

export interface Row {
  title: string
  panels: readonly Panel[]
}

/** The label of a series that has these. */
export function legend(...labels: string[]): string {
  return labels.map((label) => `{{${label}}}`).join(' ')
}
