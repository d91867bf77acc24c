import { AnswerView } from './answer-view.ts'
import { create, find } from './dom.ts'

/** So near to its end, the conversation follows what comes. */
const FOLLOWS_PX = 40

/** The turns of a conversation, below each other; a welcome while there are none. */
export class ConversationView {
  readonly #turns = find('turns', HTMLElement)
  readonly #welcome = find('welcome', HTMLElement)
  readonly #scroller = find('conversation', HTMLElement)
  #scrolling = false
  /** The end is in sight: a user who has scrolled back wants to read. */
  #follows = true

  constructor() {
    this.#scroller.addEventListener('scroll', () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#scroller
      this.#follows = scrollHeight - scrollTop - clientHeight < FOLLOWS_PX
    })
  }

  /** A turn whose answer is about to come. `origin`: where it comes from, when its question is not known. */
  add(question: string | undefined, origin: string): AnswerView {
    this.#welcome.hidden = true
    this.#follows = true
    const view = new AnswerView('Answer')
    const asked =
      question === undefined
        ? create('p', 'joined', origin)
        : create('div', 'question', create('h3', 'unseen', 'You'), create('p', 'text', question))
    this.#turns.append(create('article', 'turn', asked, create('div', 'answers', view.element)))
    return view
  }

  /** A second answer in the latest turn, beside the first. */
  addAnswer(title: string): AnswerView {
    const view = new AnswerView(title)
    this.#turns.lastElementChild?.querySelector('.answers')?.append(view.element)
    return view
  }

  /** Says something about the latest turn. */
  conclude(verdict: string): void {
    this.#turns.lastElementChild?.append(create('p', 'verdict', verdict))
    this.scrollToEnd()
  }

  removeLast(): void {
    this.#turns.lastElementChild?.remove()
    this.#welcome.hidden = this.#turns.childElementCount > 0
  }

  clear(): void {
    this.#turns.replaceChildren()
    this.#welcome.hidden = false
  }

  /** Before the next frame is painted: a layout for each token would take all the time there is. */
  scrollToEnd(): void {
    if (this.#scrolling) return
    this.#scrolling = true
    requestAnimationFrame(() => {
      this.#scrolling = false
      if (this.#follows) this.#scroller.scrollTop = this.#scroller.scrollHeight
    })
  }
}
