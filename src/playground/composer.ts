import { create, find } from './dom.ts'
import type { Model } from './gateway-info.ts'
import { PRESETS, readKnobs, type Knobs } from './knobs.ts'

/** What the form asks for. */
export interface Question {
  text: string
  /** Absent: the gateway's default. */
  model?: string
  mock?: Knobs
}

export interface ComposerHandlers {
  onSend: (question: Question) => void
  onStop: () => void
}

const OTHER = 'other'

/** The form: a message, a model, and what a mock is to do. Enter sends, Escape stops. */
export class Composer {
  readonly #form = find('composer', HTMLFormElement)
  readonly #message = find('message', HTMLTextAreaElement)
  readonly #model = find('model', HTMLSelectElement)
  readonly #other = find('other-model', HTMLInputElement)
  readonly #otherField = find('other-model-field', HTMLElement)
  readonly #knobs = find('knobs', HTMLDetailsElement)
  readonly #send = find('send', HTMLButtonElement)
  readonly #stop = find('stop', HTMLButtonElement)
  readonly #handlers: ComposerHandlers
  #models: readonly Model[] = []
  #running = false

  constructor(handlers: ComposerHandlers) {
    this.#handlers = handlers
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#submit()
    })
    this.#message.addEventListener('keydown', (event) => {
      // While an input method composes, Enter is its own.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      this.#form.requestSubmit()
    })
    this.#stop.addEventListener('click', () => handlers.onStop())
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.#running && !this.#form.hidden) handlers.onStop()
    })
    this.#model.addEventListener('change', () => this.#showModel())
    this.#addPresets()
  }

  /** While an answer runs it can be stopped, and nothing else be sent. */
  set running(running: boolean) {
    const held = document.activeElement === this.#stop || document.activeElement === this.#send
    this.#running = running
    this.#send.hidden = running
    this.#stop.hidden = !running
    // The button that had the focus is gone.
    if (held) this.focus()
  }

  set models(models: readonly Model[]) {
    this.#models = models
    const options = models.map(({ id }) => new Option(id, id, id === 'mock', id === 'mock'))
    this.#model.replaceChildren(...options, new Option('another …', OTHER))
    this.#showModel()
  }

  /** Of no use to the reader of somebody else's stream. */
  set hidden(hidden: boolean) {
    this.#form.hidden = hidden
  }

  focus(): void {
    this.#message.focus()
  }

  /** Puts back a message that was not taken, unless another one is being written. */
  restore(text: string): void {
    if (this.#message.value === '') this.#message.value = text
  }

  /** Asks this, as if it had been typed. */
  ask(text: string): void {
    if (this.#running) return
    this.#message.value = text
    this.#form.requestSubmit()
  }

  #submit(): void {
    const text = this.#message.value.trim()
    if (this.#running || !text) return
    this.#message.value = ''
    const model = this.#model.value === OTHER ? this.#other.value.trim() : this.#model.value
    this.#handlers.onSend({
      text,
      ...(model && { model }),
      ...(this.#isMock && { mock: readKnobs(new FormData(this.#form)) }),
    })
  }

  /** Other providers would be given the knobs as parameters that they do not know. */
  get #isMock(): boolean {
    const { value } = this.#model
    return value === 'mock' || this.#models.some(({ id, provider }) => id === value && provider === 'mock')
  }

  #showModel(): void {
    this.#knobs.hidden = !this.#isMock
    this.#otherField.hidden = this.#model.value !== OTHER
    this.#other.required = !this.#otherField.hidden
  }

  #addPresets(): void {
    const bar = find('presets', HTMLElement)
    for (const { name, knobs } of PRESETS) {
      const button = create('button', 'chip', name)
      button.type = 'button'
      button.addEventListener('click', () => this.#setKnobs(knobs))
      bar.append(button)
    }
  }

  #setKnobs(knobs: Readonly<Record<string, string>>): void {
    for (const field of this.#knobs.querySelectorAll<HTMLInputElement | HTMLSelectElement>('input, select')) {
      const value = knobs[field.name]
      if (field.type === 'checkbox' && field instanceof HTMLInputElement) field.checked = value !== undefined
      else field.value = value ?? ''
    }
  }
}
