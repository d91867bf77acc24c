import type { Series } from '../prometheus-server.ts'
import type { Heatmap, TimeSeries } from '../panel.ts'
import type { Drawable, Run } from './run.ts'
import { format, linear, ticks, type Scale } from './scale.ts'

/** Told apart by people who do not see red and green alike, too. */
const COLOURS = ['#4269d0', '#efb118', '#ff725c', '#3ca951', '#a463f2', '#6cc5b0', '#9c6b4e', '#97bbf5', '#9498a0']

const WIDTH = 480
const HEIGHT = 190
const PLOT = { left: 56, right: WIDTH - 14, top: 18, bottom: HEIGHT - 20 }

export interface Line {
  name: string
  colour: string
  values: [time: number, value: number][]
}

interface Frame {
  x: Scale
  run: Run
}

export function drawTimeSeries({ results }: Drawable, panel: TimeSeries, run: Run): { svg: string; lines: Line[] } {
  const lines = toLines(results)
  const x = timeScale(run)
  const shapes = panel.stacked ? stack(lines) : lines.map(({ values }) => values.map(([t, v]) => [t, 0, v] as const))
  const highest = Math.max(0, ...shapes.flatMap((shape) => shape.map(([, , value]) => value)))
  const marks = ticks(panel.max === undefined ? highest : Math.min(panel.max, highest), panel.unit)
  const y = linear([0, marks.at(-1) ?? 1], [PLOT.bottom, PLOT.top])
  const drawn = lines.map(({ colour }, index) =>
    runs(shapes[index] ?? [], run.step)
      .map((points) => {
        const top = points.map(([t, , value]) => `${px(x(t))},${px(y(value))}`)
        const bottom = points.map(([t, base]) => `${px(x(t))},${px(y(base))}`).toReversed()
        const area = `<polygon points="${[...top, ...bottom].join(' ')}" fill="${colour}" fill-opacity="${panel.stacked ? 0.45 : 0.07}"/>`
        return `${area}<polyline points="${top.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.5" stroke-linecap="round"/>`
      })
      .join(''),
  )
  const axis = marks.map((value) => gridLine(y(value), format(value, panel.unit))).join('')
  return { svg: frame({ x, run }, axis + drawn.toReversed().join('')), lines }
}

export function drawHeatmap({ results }: Drawable, panel: Heatmap, run: Run): string {
  const series = (results[0]?.series ?? []).toSorted((a, b) => bound(a) - bound(b))
  const x = timeScale(run)
  // Buckets hold what all smaller ones hold; a cell is what is in this one alone.
  const rows = series.map(({ values, metric }, index) => {
    const below = new Map(series[index - 1]?.values)
    return { le: metric.le ?? '', cells: values.map(([t, v]) => [t, Math.max(0, v - (below.get(t) ?? 0))] as const) }
  })
  const used = rows.map(({ cells }) => cells.some(([, count]) => count > 0))
  const shown = rows.slice(Math.max(0, used.indexOf(true) - 1), used.lastIndexOf(true) + 1)
  const most = Math.max(1, ...shown.flatMap(({ cells }) => cells.map(([, count]) => count)))
  const height = (PLOT.bottom - PLOT.top) / Math.max(1, shown.length)
  const width = Math.abs(x(run.start + run.step) - x(run.start))
  const every = Math.ceil(shown.length / 7)
  const drawn = shown.map(({ le, cells }, index) => {
    const top = PLOT.bottom - (index + 1) * height
    const label = index % every === 0 ? gridLine(top, le === '+Inf' ? '∞' : format(Number(le), panel.unit)) : ''
    const rectangles = cells
      .filter(([t, count]) => count > 0 && t - run.step >= run.start)
      .map(
        ([t, count]) =>
          `<rect x="${px(x(t) - width)}" y="${px(top + 0.5)}" width="${px(width - 0.5)}" height="${px(height - 1)}" fill="${heat(Math.sqrt(count / most))}"/>`,
      )
    return label + rectangles.join('')
  })
  return frame({ x, run }, drawn.join(''))
}

function toLines(results: Drawable['results']): Line[] {
  const named = results.flatMap(({ legend, series }) =>
    series.map(({ metric, values }) => ({
      name: legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? '').trim(),
      values,
    })),
  )
  // What never happened would only fill the legend.
  const active = named.filter(({ values }) => values.some(([, value]) => value > 0))
  return (active.length > 0 ? active : named)
    .toSorted((a, b) => a.name.localeCompare(b.name))
    .map((line, index) => ({ ...line, colour: COLOURS[index % COLOURS.length] ?? '' }))
}

type Point = readonly [time: number, base: number, value: number]

/** Each upon those before it; what is missing is 0. */
function stack(lines: readonly Line[]): Point[][] {
  const sums = new Map<number, number>()
  const times = [...new Set(lines.flatMap(({ values }) => values.map(([t]) => t)))].toSorted((a, b) => a - b)
  return lines.map(({ values }) => {
    const known = new Map(values)
    return times.map((t) => {
      const base = sums.get(t) ?? 0
      sums.set(t, base + (known.get(t) ?? 0))
      return [t, base, base + (known.get(t) ?? 0)] as const
    })
  })
}

/** Parts without a gap. */
function runs(points: readonly Point[], step: number): Point[][] {
  const parts: Point[][] = []
  let last = -Infinity
  for (const point of points) {
    if (point[0] - last > step * 1.5) parts.push([])
    parts.at(-1)?.push(point)
    last = point[0]
  }
  return parts
}

function bound({ metric }: Series): number {
  return metric.le === '+Inf' ? Infinity : Number(metric.le)
}

function heat(part: number): string {
  return `hsl(${Math.round(42 - 30 * part)} 92% ${Math.round(88 - 46 * part)}%)`
}

function timeScale({ start, end }: Run): Scale {
  return linear([start, end], [PLOT.left, PLOT.right])
}

function gridLine(y: number, label: string): string {
  return `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${px(y)}" y2="${px(y)}" class="grid"/><text x="${PLOT.left - 6}" y="${px(y + 3.5)}" text-anchor="end">${label}</text>`
}

/** What all charts have: the time below, and where something happened. */
function frame({ x, run }: Frame, content: string): string {
  const seconds = run.end - run.start
  const minutes = Array.from({ length: Math.floor(seconds / 30) + 1 }, (_, index) => index * 30)
  const times = minutes.map(
    (s) =>
      `<text x="${px(x(run.start + s))}" y="${HEIGHT - 6}" text-anchor="middle">${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}</text>`,
  )
  const marks = run.marks.map(
    ({ at }, index) =>
      `<line x1="${px(x(at))}" x2="${px(x(at))}" y1="${PLOT.top - 4}" y2="${PLOT.bottom}" class="mark"/><text x="${px(x(at))}" y="${PLOT.top - 6}" text-anchor="middle" class="mark">${index + 1}</text>`,
  )
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}">${content}${times.join('')}${marks.join('')}</svg>`
}

function px(value: number): string {
  return value.toFixed(1)
}
