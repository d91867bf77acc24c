import { find } from './dom.ts'
import type { Reader } from './reader.ts'

/** What can be done to a reader, and where its stream is. */
export class ReaderActions {
  readonly #cut = find('cut', HTMLButtonElement)
  readonly #slow = find('slow', HTMLButtonElement)
  readonly #second = find('second', HTMLButtonElement)
  readonly #reload = find('reload', HTMLButtonElement)
  readonly #address = find('address', HTMLAnchorElement)
  #reader: Reader | undefined

  constructor({ onSecond }: { onSecond: () => void }) {
    this.#cut.addEventListener('click', () => this.#reader?.cut())
    this.#slow.addEventListener('click', () => {
      if (this.#reader) this.#reader.slow = !this.#reader.slow
      this.#showSlow()
    })
    this.#second.addEventListener('click', () => {
      this.#second.disabled = true
      onSecond()
    })
    this.#reload.addEventListener('click', () => location.reload())
    this.show(undefined, undefined)
  }

  /** `id`: of its stream, once it is known. */
  show(reader: Reader | undefined, id: string | undefined): void {
    this.#reader = reader
    const reads = reader !== undefined && reader.record.endedAt === undefined
    this.#cut.disabled = !reads
    this.#slow.disabled = !reads
    this.#second.disabled = id === undefined
    this.#reload.disabled = id === undefined
    this.#address.textContent = id ?? ''
    if (id) this.#address.href = `#/${id}`
    else this.#address.removeAttribute('href')
    this.#showSlow()
  }

  /** The stream is over: there is no connection left to be cut, but still a stream to be read again. */
  showEnd(): void {
    this.#cut.disabled = true
    this.#slow.disabled = true
  }

  #showSlow(): void {
    this.#slow.setAttribute('aria-pressed', String(this.#reader?.slow ?? false))
  }
}
