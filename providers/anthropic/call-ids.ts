/**
 * The ids of calls in one conversation, as Anthropic takes them: of letters, digits, `_` and `-`, and each one once.
 * Other upstreams have ids such as `functions.find:0` (Kimi), or count anew with every answer (`call_0`). A
 * converted id depends only on earlier messages, so that cached prompts stay the same.
 */
export class CallIds {
  readonly #used = new Set<string>()
  /** The last number that made an id unique. */
  readonly #numbers = new Map<string, number>()
  /** The ids of the last answer's calls, by the ids that they came with. */
  #open = new Map<string, { ids: string[]; answered: number }>()

  startAnswer(): void {
    this.#open = new Map()
  }

  ofCall(given: string): string {
    const id = this.#unique(toAllowed(given))
    const open = this.#open.get(given)
    if (open) open.ids.push(id)
    else this.#open.set(given, { ids: [id], answered: 0 })
    return id
  }

  /** Of several calls with one id, each gets one result. */
  ofResult(given: string): string {
    const open = this.#open.get(given)
    return open?.ids[Math.min(open.answered++, open.ids.length - 1)] ?? toAllowed(given)
  }

  #unique(wanted: string): string {
    let id = wanted
    while (this.#used.has(id)) {
      const number = (this.#numbers.get(wanted) ?? 1) + 1
      this.#numbers.set(wanted, number)
      id = `${wanted}_${number}`
    }
    this.#used.add(id)
    return id
  }
}

function toAllowed(id: string): string {
  return id === '' ? 'call' : id.replace(/[^a-zA-Z0-9_-]/g, '_')
}
