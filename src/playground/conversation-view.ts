import { AnswerView, button, type AnswerViewOptions } from './answer-view.ts'
import type { Asked } from './conversation.ts'
import { create, find } from './dom.ts'
import { ScrollFollower } from './scroll-follower.ts'

export interface ConversationHandlers {
  /** The question of this turn is to be another. */
  onEdit: (index: number, question: string) => void
  /** The answer of this turn is to be another. */
  onRetry: (index: number) => void
}

/** The turns of a conversation, below each other; a welcome while there are none. */
export class ConversationView {
  readonly #turns = find('turns', HTMLElement)
  readonly #welcome = find('welcome', HTMLElement)
  readonly #follower = new ScrollFollower(find('conversation', HTMLElement), find('latest', HTMLElement))
  readonly #handlers: ConversationHandlers

  constructor(handlers: ConversationHandlers) {
    this.#handlers = handlers
  }

  /** A turn whose answer is about to come. `origin`: where it comes from, when nothing is known to have been asked. */
  add(asked: Asked, origin: string): AnswerView {
    this.#welcome.hidden = true
    const index = this.#turns.childElementCount
    const canRetry = asked.question !== undefined || asked.results !== undefined
    const view = new AnswerView({
      title: 'Answer',
      ...(canRetry && { onRetry: () => this.#handlers.onRetry(index) }),
    })
    this.#turns.append(
      create('article', 'turn', this.#showAsked(asked, origin, index), create('div', 'answers', view.element)),
    )
    this.#follower.follow()
    return view
  }

  #showAsked({ question, results }: Asked, origin: string, index: number): HTMLElement {
    if (results) {
      const lines = results.map(({ name, content }) => create('p', 'text', create('strong', '', name), ` ${content}`))
      return create('div', 'question results', create('h3', 'unseen', 'Results of tools'), ...lines)
    }
    if (question === undefined) return create('p', 'joined', origin)
    const asked = create('div', 'asked')
    const edit = button('Edit', () => this.#edit(asked, question, index))
    edit.classList.add('edit')
    asked.append(create('div', 'question', create('h3', 'unseen', 'You'), create('p', 'text', question)), edit)
    return asked
  }

  /** Puts a form in the place of a question. */
  #edit(asked: HTMLElement, question: string, index: number): void {
    const text = create('textarea')
    text.value = question
    text.ariaLabel = 'Your message'
    const send = create('button', 'primary', 'Send')
    const close = () => {
      form.replaceWith(asked)
      asked.querySelector('button')?.focus()
    }
    const form = create('form', 'editing', text, create('div', 'editing-actions', button('Cancel', close), send))
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      if (text.value.trim()) this.#handlers.onEdit(index, text.value.trim())
    })
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') close()
      // Escape stops an answer elsewhere.
      event.stopPropagation()
      if (event.target !== text || event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      form.requestSubmit()
    })
    asked.replaceWith(form)
    text.focus()
  }

  /** A second answer in the latest turn, beside the first. */
  addAnswer(options: AnswerViewOptions): AnswerView {
    const view = new AnswerView(options)
    const answers = this.#latest?.querySelector('.answers')
    answers?.querySelector('.answer + .answer')?.remove()
    answers?.append(view.element)
    this.#latest?.querySelector('.verdict')?.remove()
    return view
  }

  /** Says something about the latest turn. */
  conclude(verdict: string): void {
    this.#latest?.append(create('p', 'verdict', verdict))
    this.#follower.update()
  }

  /** There is no such stream: it was not joined. */
  removeOrigin(): void {
    this.#latest?.querySelector('.joined')?.remove()
  }

  removeFrom(index: number): void {
    for (const turn of [...this.#turns.children].slice(index)) turn.remove()
    this.#welcome.hidden = this.#turns.childElementCount > 0
  }

  /** Something has been added at the end. */
  grown(): void {
    this.#follower.update()
  }

  get #latest(): Element | null {
    return this.#turns.lastElementChild
  }
}
