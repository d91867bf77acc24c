/** Tells users of screen readers about changes. In the page from the start: a new live region is not read. */
export class Notice {
  readonly #region: HTMLElement

  constructor(region: HTMLElement) {
    this.#region = region
  }

  say(text: string): void {
    this.#region.textContent = text
  }
}
