import { chartScale, cursorPath, framePath, ticks, type ChartArea, type ChartScale } from './chart-scale.ts'
import { draw } from './dom.ts'
import type { ReaderRecord, Row } from './reader-record.ts'

const LEAST_HEIGHT = 120
const LANE = 10
/** The least span of time that is shown, in milliseconds. */
const LEAST_MS = 2000
/** A merged frame's label needs this much room, in pixels. */
const LABEL_PX = 34

/** Cursors over time: a reader's place in the stream, how it waits, falls back and catches up. */
export class Chart {
  readonly #svg: SVGSVGElement
  #width = 0
  #height = LEAST_HEIGHT
  #records: readonly ReaderRecord[] = []

  constructor(svg: SVGSVGElement) {
    this.#svg = svg
    new ResizeObserver(([entry]) => {
      this.#width = Math.round(entry?.contentRect.width ?? 0)
      this.#height = Math.max(LEAST_HEIGHT, Math.round(entry?.contentRect.height ?? 0))
      this.show(this.#records)
    }).observe(svg)
  }

  /** Draws these readers, the first one as the page's own. */
  show(records: readonly ReaderRecord[]): void {
    this.#records = records
    if (this.#width === 0) return
    const lanes = Math.max(1, records.length)
    const height = this.#height
    const bottom = height - 22 - lanes * (LANE + 4)
    const area = { left: 34, right: this.#width - 12, top: 14, bottom }
    this.#svg.setAttribute('viewBox', `0 0 ${this.#width} ${height}`)
    if (records.length === 0) {
      const x = this.#width / 2
      this.#svg.replaceChildren(write('hint', x, height / 2, 'What a reader receives is drawn here.', 'middle'))
      return
    }
    const now = performance.now()
    const begins = records.flatMap(({ startedAt }) => startedAt ?? [])
    const from = begins.length > 0 ? Math.min(...begins) : now
    const ends = records.map((record) => (record.endedAt === undefined && begins.length > 0 ? now : record.lastAt))
    const until = Math.max(from + LEAST_MS, ...ends)
    const lastId = Math.max(10, ...records.map((record) => record.steps.at(-1)?.id ?? 0))
    const scale = chartScale(area, from, until, lastId)
    this.#svg.replaceChildren(
      ...drawGrid(area, scale, height, { from, until, lastId }),
      // The page's own reader on top.
      ...records
        .map((record, index) => drawReader(record, scale, area, index, ends[index] ?? until))
        .toReversed()
        .flat(),
    )
  }
}

interface Extent {
  from: number
  until: number
  lastId: number
}

function drawGrid(area: ChartArea, scale: ChartScale, height: number, { from, until, lastId }: Extent): SVGElement[] {
  const elements: SVGElement[] = [
    draw('line', 'axis', { x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom }),
  ]
  for (const id of ticks(lastId, 3)) {
    const y = scale.y(id)
    elements.push(draw('line', 'grid', { x1: area.left, x2: area.right, y1: y, y2: y }))
    elements.push(write('tick', area.left - 6, y + 3.5, String(id), 'end'))
  }
  for (const second of ticks((until - from) / 1000, 5))
    elements.push(write('tick', scale.x(from + second * 1000), height - 5, `${second} s`, 'middle'))
  elements.push(write('tick', area.left, height - 5, '0', 'middle'))
  return elements
}

function drawReader(
  record: ReaderRecord,
  scale: ChartScale,
  area: ChartArea,
  index: number,
  until: number,
): SVGElement[] {
  const { startedAt, steps, rows } = record
  if (startedAt === undefined) return []
  const which = index === 0 ? 'first' : 'second'
  const cursor = cursorPath(steps, scale, startedAt, until)
  const top = area.bottom + 6 + index * (LANE + 4)
  const elements: SVGElement[] = []
  if (index === 0) elements.push(draw('path', 'level', { d: `${cursor}V${area.bottom}H${scale.x(startedAt)}Z` }))
  elements.push(
    draw('line', 'lane', { x1: area.left, x2: area.right, y1: top + LANE / 2, y2: top + LANE / 2 }),
    draw('path', `cursor ${which}`, { d: cursor }),
    draw('path', `frames ${which}`, { d: framePath(steps, scale, top, top + LANE) }),
  )
  let labelled = -Infinity
  let mergedAt = -Infinity
  for (const row of rows) {
    // What falls on the same pixel would only hide what is there.
    if (row.type === 'merged') {
      if (scale.x(row.at) - mergedAt < 1) continue
      mergedAt = scale.x(row.at)
    }
    const marks = drawRow(row, scale, top, until, labelled, area)
    if (row.type === 'merged' && marks.some((mark) => mark instanceof SVGTextElement)) labelled = scale.x(row.at)
    elements.push(...marks)
  }
  return elements
}

/** What stands out: merged frames, absences, heartbeats and the end. */
function drawRow(
  row: Row,
  { x, y }: ChartScale,
  laneTop: number,
  until: number,
  labelled: number,
  area: ChartArea,
): SVGElement[] {
  const middle = laneTop + LANE / 2
  switch (row.type) {
    case 'request':
    case 'deltas':
      return []
    case 'merged': {
      const at = x(row.at)
      const [from, to] = [y(row.first - 1), y(row.last)]
      const marks: SVGElement[] = [
        draw('line', 'merged', { x1: at, x2: at, y1: from, y2: to }),
        draw('rect', 'merged', { x: at - 2, y: laneTop, width: 4, height: LANE, rx: 1 }),
      ]
      const atEdge = at - area.left < LABEL_PX
      if (at - labelled > LABEL_PX && from - to > 9) {
        const text = `×${row.last - row.first + 1}`
        marks.push(write('merged', atEdge ? at + 7 : at - 7, (from + to) / 2 + 4, text, atEdge ? 'start' : 'end'))
      }
      return marks
    }
    case 'away': {
      const level = y(row.after)
      const end = x(row.until ?? until)
      return [
        draw('line', 'gap', { x1: x(row.at), x2: end, y1: level, y2: level }),
        draw('line', 'away', { x1: x(row.at), x2: end, y1: level, y2: level }),
        draw('line', 'away', { x1: x(row.at), x2: end, y1: middle, y2: middle }),
        draw('circle', 'away', { cx: x(row.at), cy: level, r: 3.5 }),
      ]
    }
    case 'heartbeat':
      return row.beats.map((at) => draw('circle', 'heartbeat', { cx: x(at), cy: middle, r: 3.5 }))
    case 'done':
      return [
        draw('circle', row.error ? 'done failed' : 'done', { cx: x(row.at), cy: y(row.id), r: 4.5 }),
        draw('rect', row.error ? 'done failed' : 'done', {
          x: x(row.at) - 2,
          y: laneTop,
          width: 4,
          height: LANE,
          rx: 1,
        }),
      ]
    case 'end':
      return [draw('circle', 'done failed', { cx: x(row.at), cy: middle, r: 3.5 })]
  }
}

function write(className: string, x: number, y: number, text: string, anchor: string): SVGTextElement {
  const element = draw('text', className, { x, y, 'text-anchor': anchor })
  element.textContent = text
  return element
}
