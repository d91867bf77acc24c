import { create, find } from './dom.ts'
import type { RawFrame } from './raw-frames.ts'
import { ScrollFollower } from './scroll-follower.ts'

/** More than anybody reads would make the page slow. */
const LONGEST = 600

/** Event streams letter for letter, beside each other; or the list of frames in their place. */
export class RawView {
  readonly #raw = find('raw', HTMLElement)
  readonly #list = find('frames', HTMLOListElement)
  readonly #tabs = { list: find('show-list', HTMLButtonElement), raw: find('show-raw', HTMLButtonElement) }

  constructor() {
    this.#tabs.list.addEventListener('click', () => (this.isShown = false))
    this.#tabs.raw.addEventListener('click', () => (this.isShown = true))
  }

  set isShown(isShown: boolean) {
    this.#raw.hidden = !isShown
    this.#list.hidden = isShown
    this.#tabs.list.ariaPressed = String(!isShown)
    this.#tabs.raw.ariaPressed = String(isShown)
  }

  /** Begins with the first column, or puts a second one in the place of another. */
  add(which: 'first' | 'second', title: string, request: string): RawColumn {
    const column = new RawColumn(title, request)
    if (which === 'first') this.clear()
    else this.removeSecond()
    this.#raw.append(column.element)
    return column
  }

  removeSecond(): void {
    this.#raw.children[1]?.remove()
  }

  clear(): void {
    this.#raw.replaceChildren()
  }
}

/** One event stream. */
export class RawColumn {
  readonly element = create('section', 'raw-column')
  readonly #text = create('pre')
  readonly #follower = new ScrollFollower(this.#text)

  constructor(title: string, request: string) {
    this.#text.tabIndex = 0
    this.element.append(create('h4', '', create('strong', '', title), ` ${request}`), this.#text)
  }

  add({ text }: RawFrame): void {
    this.#text.append(`${text}\n\n`)
    while (this.#text.childNodes.length > LONGEST) this.#text.firstChild?.remove()
    this.#follower.update()
  }
}
