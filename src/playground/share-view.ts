import { find } from './dom.ts'
import type { Fetch } from './gateway-key.ts'
import type { Notice } from './notice.ts'
import { createTicket, formatAddress } from './shared-link.ts'
import { formatTime } from './wording.ts'

/** Makes a link that opens the stream shown for somebody without a key, to read. */
export class ShareView {
  readonly #share = find('share', HTMLButtonElement)
  readonly #shared = find('shared', HTMLElement)
  readonly #link = find('link', HTMLInputElement)
  readonly #linkField = find('link-field', HTMLElement)
  readonly #says = find('shared-says', HTMLElement)
  readonly #fetch: Fetch
  readonly #notice: Notice
  #id: string | undefined

  constructor({ fetch, notice }: { fetch: Fetch; notice: Notice }) {
    this.#fetch = fetch
    this.#notice = notice
    this.#share.addEventListener('click', () => void this.#create())
    find('copy', HTMLButtonElement).addEventListener('click', () => void this.#copy())
    find('hide-link', HTMLButtonElement).addEventListener('click', () => {
      this.#shared.hidden = true
      this.#share.focus()
    })
    this.#link.addEventListener('focus', () => this.#link.select())
  }

  /** The stream to share; undefined when there is none, or when it is somebody else's. */
  set id(id: string | undefined) {
    if (id !== this.#id) this.#shared.hidden = true
    this.#id = id
    this.#share.hidden = id === undefined
  }

  async #create(): Promise<void> {
    const id = this.#id
    if (id === undefined) return
    const page = new URL('.', location.href)
    try {
      const { ticket, expires } = await createTicket(this.#fetch, page.href, id)
      if (id !== this.#id) return
      page.hash = formatAddress({ id, ticket })
      this.#link.value = page.href
      this.#show(`Everybody with this link can read this stream until ${formatTime(expires)}, and do nothing else.`)
      this.#link.focus()
    } catch (error) {
      if (id === this.#id)
        this.#show(`There is no link: ${error instanceof Error ? error.message : String(error)}`, true)
    }
  }

  async #copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.#link.value)
      this.#show('The link is copied.')
    } catch {
      // Not allowed, or not a page of HTTPS, which has no clipboard.
      this.#link.focus()
      this.#show('The link is selected: copy it with the keyboard.')
    }
  }

  #show(text: string, failed = false): void {
    this.#shared.hidden = false
    this.#linkField.hidden = failed
    this.#says.textContent = text
    this.#says.classList.toggle('failed', failed)
    this.#notice.say(text)
  }
}
