import { find } from './dom.ts'

/** A button that shows and hides a part of the page. */
export class Disclosure {
  readonly panel: HTMLElement
  readonly #button: HTMLButtonElement

  constructor(button: string, panel: string) {
    this.#button = find(button, HTMLButtonElement)
    this.panel = find(panel, HTMLElement)
    this.#button.addEventListener('click', () => (this.isOpen = this.panel.hidden !== false))
    // A field that is out of sight cannot say what is wrong with it. Such an event does not bubble.
    this.panel.addEventListener('invalid', () => (this.isOpen = true), { capture: true })
  }

  set isOpen(isOpen: boolean) {
    this.panel.hidden = !isOpen
    this.#button.ariaExpanded = String(isOpen)
  }

  /** Without use for now. */
  set isHidden(isHidden: boolean) {
    this.#button.hidden = isHidden
    if (isHidden) this.isOpen = false
  }
}
