import { Disclosure } from './disclosure.ts'
import { create, find } from './dom.ts'
import type { Model } from './gateway-info.ts'
import { PRESETS, readKnobs, type Knobs } from './knobs.ts'

/** Who is asked, and how. */
export interface Choice {
  /** Absent: the gateway's default. */
  model?: string
  mock?: Knobs
}

export interface ComposerHandlers {
  onSend: (text: string) => void
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
  readonly #knobs = new Disclosure('show-knobs', 'knobs')
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
    this.#model.replaceChildren(...options, new Option('Other …', OTHER))
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

  /** What is typed, not sent yet. */
  get text(): string {
    return this.#message.value.trim()
  }

  /** The model and its knobs; undefined while a field is not valid, which is then shown. */
  get choice(): Choice | undefined {
    if (!this.#form.reportValidity()) return undefined
    const model = this.#model.value === OTHER ? this.#other.value.trim() : this.#model.value
    return { ...(model && { model }), ...(this.#isMock && { mock: readKnobs(new FormData(this.#form)) }) }
  }

  #submit(): void {
    const { text } = this
    if (this.#running || !text) return
    this.#message.value = ''
    this.#handlers.onSend(text)
  }

  /** Other providers would be given the knobs as parameters that they do not know. */
  get #isMock(): boolean {
    const { value } = this.#model
    return value === 'mock' || this.#models.some(({ id, provider }) => id === value && provider === 'mock')
  }

  #showModel(): void {
    this.#knobs.isHidden = !this.#isMock
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
    for (const field of this.#knobs.panel.querySelectorAll<HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>(
      'input, select, textarea',
    )) {
      const value = knobs[field.name]
      if (field.type === 'checkbox' && field instanceof HTMLInputElement) field.checked = value !== undefined
      else field.value = value ?? ''
    }
  }
}
