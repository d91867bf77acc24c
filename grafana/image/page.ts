import { drawHeatmap, drawTimeSeries, type Line } from './chart.ts'
import type { Drawable, Run } from './run.ts'
import { format } from './scale.ts'

/** The panels side by side, as a page. */
export function drawPage(run: Run): string {
  const marks = run.marks.map(({ text }, index) => `<b>${index + 1}</b> ${text}`).join(' · ')
  return `<!doctype html><meta charset="utf-8"><style>${STYLE}</style>
<header><h1>Sluice</h1><p>${marks}</p><small>from query_range of a real Prometheus</small></header>
<main>${run.drawables.map((drawable) => drawPanel(drawable, run)).join('')}</main>`
}

function drawPanel(drawable: Drawable, run: Run): string {
  const { panel } = drawable
  const [chart, legend] = drawChart(drawable, run)
  return `<section><h2>${panel.title}</h2>${chart}<footer>${legend}</footer></section>`
}

function drawChart(drawable: Drawable, run: Run): [chart: string, legend: string] {
  const { panel } = drawable
  switch (panel.kind) {
    case 'time series': {
      const { svg, lines } = drawTimeSeries(drawable, panel, run)
      return [svg, lines.map((line) => drawEntry(line, format(highest(line), panel.unit))).join('')]
    }
    case 'heatmap':
      return [drawHeatmap(drawable, panel, run), '<span>darker: more observations</span>']
    case 'stat':
      throw new Error(`${panel.title} is one number, and no chart`)
  }
}

function drawEntry({ name, colour }: Line, most: string): string {
  return `<span><i style="background:${colour}"></i>${name} <em>max ${most}</em></span>`
}

function highest({ values }: Line): number {
  return Math.max(0, ...values.map(([, value]) => value))
}

const STYLE = `
  body { margin: 0; padding: 16px; width: 1260px; font: 13px system-ui, sans-serif; color: #24292f; background: #f6f7f9 }
  header { display: flex; white-space: nowrap; gap: 16px; align-items: baseline; padding: 0 4px 12px }
  h1 { font-size: 20px; margin: 0 }
  p { margin: 0; color: #57606a } p b { color: #b42318 }
  small { margin-left: auto; color: #8c959f; font-size: 11px }
  main { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px }
  section { background: #fff; border: 1px solid #d8dee4; border-radius: 6px; padding: 10px 12px 8px; min-width: 0 }
  h2 { font-size: 13px; margin: 0 0 4px }
  svg { width: 100%; display: block }
  svg text { font-size: 10.5px; fill: #57606a }
  .grid { stroke: #eaeef2 } line.mark { stroke: #b42318; stroke-dasharray: 2 3; opacity: .6 } text.mark { fill: #b42318; font-weight: 600 }
  footer { display: flex; flex-wrap: wrap; gap: 2px 12px; font-size: 11px; color: #24292f; padding-top: 4px }
  i { display: inline-block; width: 10px; height: 3px; margin-right: 5px; vertical-align: middle }
  em { font-style: normal; color: #8c959f }
`
