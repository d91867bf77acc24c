import { create } from './dom.ts'
import { formatBytes, formatCount, formatMs, formatRate } from './format.ts'
import type { Figures } from './reader-record.ts'

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
export class FiguresView {
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
