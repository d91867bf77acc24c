import type { Step } from './reader-record.ts'

/** From times and ids to the pixels of a chart. */
export interface ChartScale {
  x: (at: number) => number
  y: (id: number) => number
}

export interface ChartArea {
  left: number
  right: number
  top: number
  bottom: number
}

export function chartScale(area: ChartArea, from: number, until: number, lastId: number): ChartScale {
  const width = (area.right - area.left) / Math.max(until - from, 1)
  const height = (area.bottom - area.top) / Math.max(lastId, 1)
  return {
    x: (at) => round(area.left + (at - from) * width),
    y: (id) => round(area.bottom - id * height),
  }
}

/** The path of a cursor: level while nothing comes, up with each frame. One point a pixel, however many frames. */
export function cursorPath(steps: readonly Step[], { x, y }: ChartScale, startedAt: number, until: number): string {
  let path = `M${x(startedAt)} ${y(0)}`
  steps.forEach(({ at, id }, index) => {
    const next = steps[index + 1]
    if (next && Math.floor(x(next.at)) === Math.floor(x(at)) && next.covers === 1) return
    path += `H${x(at)}V${y(id)}`
  })
  return `${path}H${x(until)}`
}

/** Upright marks, one for each frame that passes, but no more than one a pixel. */
export function framePath(steps: readonly Step[], { x }: ChartScale, top: number, bottom: number): string {
  let path = ''
  let last = -1
  for (const { at } of steps) {
    const pixel = Math.floor(x(at))
    if (pixel !== last) path += `M${pixel + 0.5} ${top}V${bottom}`
    last = pixel
  }
  return path
}

/** Round numbers up to `max`, about `count` of them. */
export function ticks(max: number, count: number): number[] {
  if (max <= 0) return []
  const rough = max / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough) ?? rough
  return Array.from({ length: Math.floor(max / step + 1e-9) }, (_, index) => round((index + 1) * step))
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
