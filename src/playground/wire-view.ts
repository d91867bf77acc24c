import { Chart } from './chart.ts'
import { create, find } from './dom.ts'
import { FrameList } from './frame-list.ts'
import { ReaderRecord, type Figures } from './reader-record.ts'
import type { Reader } from './reader.ts'
import { formatBytes, formatCount, formatMs, formatRate } from './wording.ts'

/** How often it is drawn anew while frames come, in milliseconds. */
const PERIOD_MS = 80

const NOTHING_READ = new ReaderRecord()

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
    const [first = NOTHING_READ] = records
    this.#chart.show(records)
    this.#figures.show(first.figures)
    this.#frames.show(this.#readers, first.startedAt ?? 0)
  }
}

const NONE = '–'

const ROWS: readonly { name: string; value: (figures: Figures) => string; title: string }[] = [
  {
    name: 'First token',
    value: ({ firstTokenMs }) => (firstTokenMs === undefined ? NONE : formatMs(firstTokenMs)),
    title: 'From the request to the first delta',
  },
  {
    name: 'Tokens/s',
    value: ({ tokensPerSecond }) => (tokensPerSecond === undefined ? NONE : formatRate(tokensPerSecond)),
    title: 'Deltas after the first frame, for each second since it',
  },
  { name: 'Events', value: ({ events }) => formatCount(events), title: 'Deltas and the done, merged or not' },
  { name: 'Frames', value: ({ frames }) => formatCount(frames), title: 'In so many frames they came' },
  { name: 'Merged', value: ({ merged }) => formatCount(merged), title: 'Frames that held more than one delta' },
  { name: 'Reconnects', value: ({ reconnects }) => formatCount(reconnects), title: 'Times it came back' },
  { name: 'Heartbeats', value: ({ heartbeats }) => formatCount(heartbeats), title: 'Comments on a silent line' },
  { name: 'Received', value: ({ bytes }) => formatBytes(bytes), title: 'Bytes of event streams' },
]

/** The figures of a reader in a `<dl>`. */
class FiguresView {
  readonly #values: HTMLElement[]

  constructor(list: HTMLDListElement) {
    this.#values = ROWS.map(({ name, title }) => {
      const value = create('dd', '', NONE)
      const group = create('div', '', create('dt', '', name), value)
      group.title = title
      list.append(group)
      return value
    })
  }

  show(figures: Figures): void {
    ROWS.forEach(({ value }, index) => {
      const element = this.#values[index]
      const text = value(figures)
      if (element && element.textContent !== text) element.textContent = text
    })
  }
}
