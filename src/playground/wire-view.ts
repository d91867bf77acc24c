import { Chart } from './chart.ts'
import { find } from './dom.ts'
import { FiguresView } from './figures-view.ts'
import { FrameList } from './frame-list.ts'
import type { Reader } from './reader.ts'

/** How often it is drawn anew while frames come, in milliseconds. */
const PERIOD_MS = 80

/** What happens on the wire: figures, cursors over time, frame after frame. */
export class WireView {
  readonly #chart = new Chart(find('chart', SVGSVGElement))
  readonly #figures = new FiguresView(find('figures', HTMLDListElement))
  readonly #frames = new FrameList(find('frames', HTMLOListElement))
  #readers: readonly Reader[] = []
  #timer: ReturnType<typeof setTimeout> | undefined

  /** These readers from now on, the page's own first. */
  set readers(readers: readonly Reader[]) {
    if (readers[0] !== this.#readers[0]) this.#frames.clear()
    this.#readers = readers
    this.changed()
  }

  /** Something has happened: it is shown soon, together with what else happens until then. */
  changed(): void {
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#show()
      // Time passes in the chart, also when nothing comes.
      if (this.#readers.some(({ record }) => record.startedAt !== undefined && record.endedAt === undefined))
        this.changed()
    }, PERIOD_MS)
  }

  #show(): void {
    const records = this.#readers.map(({ record }) => record)
    const [first] = records
    this.#chart.show(records)
    if (!first) return
    this.#figures.show(first.figures)
    this.#frames.show(records, first.startedAt ?? 0)
  }
}
