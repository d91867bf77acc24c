/** So near to its end, somebody sees what comes. */
const NEAR_PX = 40

/** Keeps the end of a scrolled element in sight, unless somebody has scrolled back to read. */
export class ScrollFollower {
  readonly #scroller: HTMLElement
  readonly #toEnd: HTMLElement | undefined
  #scheduled = false
  #follows = true
  #top = 0

  /** `toEnd`: leads back to the end. */
  constructor(scroller: HTMLElement, toEnd?: HTMLElement) {
    this.#scroller = scroller
    this.#toEnd = toEnd
    scroller.addEventListener('scroll', () => this.#onScroll())
    toEnd?.addEventListener('click', () => {
      this.follow()
      scroller.focus()
    })
  }

  /** Goes to the end, and stays there. */
  follow(): void {
    this.#set(true)
    this.update()
  }

  /** The content has grown. Before the next frame is painted: a layout for each token would take all the time there is. */
  update(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    requestAnimationFrame(() => {
      this.#scheduled = false
      if (this.#follows) this.#scroller.scrollTop = this.#scroller.scrollHeight
      else this.#set(this.#isAtEnd)
    })
  }

  /** Only users scroll back: whatever comes, however much at once, does not. */
  #onScroll(): void {
    const { scrollTop } = this.#scroller
    const isBack = scrollTop < this.#top
    this.#top = scrollTop
    if (this.#isAtEnd) this.#set(true)
    else if (isBack) this.#set(false)
  }

  get #isAtEnd(): boolean {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller
    return scrollHeight - scrollTop - clientHeight < NEAR_PX
  }

  #set(follows: boolean): void {
    this.#follows = follows
    if (this.#toEnd) this.#toEnd.hidden = follows
  }
}
