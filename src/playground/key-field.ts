import { find } from './dom.ts'
import { GatewayKey, type Fetch, type KeyState } from './gateway-key.ts'
import type { Notice } from './notice.ts'

const WORDS: Readonly<Record<KeyState, string>> = {
  unknown: '',
  missing: 'This gateway needs an API key.',
  refused: 'The gateway does not know this key.',
  accepted: 'The key works.',
}

export interface KeyFieldOptions {
  notice: Notice
  /** There is another key: what was refused may be asked for again. */
  onKey: () => void
  /** The key that was just typed works. */
  onAccepted: () => void
}

/** The field for the gateway's key, out of sight until a request is refused for want of one. */
export class KeyField {
  readonly #key = new GatewayKey(sessionStorage, (state) => this.#show(state))
  readonly #form = find('access', HTMLFormElement)
  readonly #field = find('key', HTMLInputElement)
  readonly #asking = find('access-asking', HTMLElement)
  readonly #says = find('access-says', HTMLElement)
  readonly #change = find('change-key', HTMLButtonElement)
  readonly #options: KeyFieldOptions
  #state: KeyState = 'unknown'

  constructor(options: KeyFieldOptions) {
    this.#options = options
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      // The same words may be the answer again, and are worth saying again.
      this.#state = 'unknown'
      this.#key.use(this.#field.value.trim())
      options.onKey()
    })
    this.#change.addEventListener('click', () => {
      this.#key.use('')
      this.#show('missing')
      this.focus()
    })
  }

  /** Sends a request to the gateway with the key. */
  get fetch(): Fetch {
    return this.#key.fetch
  }

  get hasKey(): boolean {
    return this.#key.isSet
  }

  focus(): void {
    this.#field.focus()
    this.#field.select()
  }

  #show(state: KeyState): void {
    if (state === this.#state) return
    this.#state = state
    const isAccepted = state === 'accepted'
    const held = this.#form.contains(document.activeElement)
    this.#form.hidden = false
    this.#form.dataset.state = state
    this.#asking.hidden = isAccepted
    this.#change.hidden = !isAccepted
    this.#field.setAttribute('aria-invalid', String(state === 'refused'))
    if (isAccepted) this.#field.value = ''
    this.#says.textContent = WORDS[state]
    this.#options.notice.say(WORDS[state])
    if (held && isAccepted) this.#options.onAccepted()
    else if (held) this.focus()
  }
}
