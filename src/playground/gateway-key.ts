import type { Memory } from './conversation.ts'

export type Fetch = typeof globalThis.fetch

/** State of the page's key; `unknown` until the gateway has asked for one. */
export type KeyState = 'unknown' | 'missing' | 'refused' | 'accepted'

const NAME = 'sluice.key'

/** Characters that a header can hold: https://www.rfc-editor.org/rfc/rfc6750#section-2.1 */
const KEY = /^[\x21-\x7e]+$/

/** The page's key, kept for this tab alone, and every request that needs it. */
export class GatewayKey {
  readonly #memory: Memory
  readonly #onState: (state: KeyState) => void
  #key: string

  constructor(memory: Memory, onState: (state: KeyState) => void) {
    this.#memory = memory
    this.#onState = onState
    this.#key = read(memory)
  }

  /** Uses this key from now on; an empty one is forgotten. */
  use(key: string): void {
    this.#key = key
    try {
      this.#memory.setItem(NAME, key)
    } catch {
      // No room, or none allowed: the key is lost with a reload.
    }
    if (key !== '' && !KEY.test(key)) this.#onState('refused')
  }

  get isSet(): boolean {
    return this.#key !== ''
  }

  /** `fetch` with the key. To other origins it would give the key away: for requests to the gateway only. */
  readonly fetch: Fetch = async (input, init = {}) => {
    const key = this.#key
    const headers = new Headers(init.headers)
    if (KEY.test(key)) headers.set('Authorization', `Bearer ${key}`)
    const response = await globalThis.fetch(input, { ...init, headers })
    // The answer to an older key says nothing about this one.
    if (key !== this.#key) return response
    if (response.status === 401) this.#onState(key === '' ? 'missing' : 'refused')
    else if (response.ok && key !== '') this.#onState('accepted')
    return response
  }
}

function read(memory: Memory): string {
  try {
    return memory.getItem(NAME) ?? ''
  } catch {
    return ''
  }
}
