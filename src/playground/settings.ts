import type { Memory } from './conversation.ts'
import { Disclosure } from './disclosure.ts'
import { find } from './dom.ts'
import { isRecord } from './gateway-info.ts'

/** What every request of the conversation has besides its messages. */
export interface Settings {
  system: string
  /** Fields of the body. */
  parameters: Record<string, unknown>
}

const NUMBERS = ['temperature', 'top_p', 'max_tokens'] as const
const NAME = 'sluice.settings'

/** Settings as they were typed, by the names of their fields. @throws SyntaxError when the further fields are no object */
export function parseSettings(fields: ReadonlyMap<string, string>): Settings {
  const parameters: Record<string, unknown> = {}
  for (const name of NUMBERS) {
    const text = fields.get(name) ?? ''
    if (text !== '') parameters[name] = Number(text)
  }
  return { system: fields.get('system') ?? '', parameters: { ...parameters, ...parseMore(fields.get('more') ?? '') } }
}

function parseMore(text: string): Record<string, unknown> {
  if (text === '') return {}
  const more: unknown = JSON.parse(text)
  if (!isRecord(more) || Array.isArray(more)) throw new SyntaxError('It must be a JSON object: {"name": value}.')
  return more
}

/** The fields for the system prompt and the parameters, kept for this tab. */
export class SettingsForm {
  readonly #panel = new Disclosure('show-settings', 'settings').panel
  readonly #more = find('more', HTMLTextAreaElement)
  readonly #memory: Memory

  constructor(memory: Memory) {
    this.#memory = memory
    this.#restore()
    this.#check()
    this.#panel.addEventListener('input', () => {
      this.#check()
      this.#save()
    })
  }

  /** For a form that is valid. */
  get value(): Settings {
    return parseSettings(this.#read())
  }

  #check(): void {
    try {
      parseSettings(this.#read())
      this.#more.setCustomValidity('')
    } catch (error) {
      this.#more.setCustomValidity(error instanceof Error ? error.message : String(error))
    }
  }

  get #fields() {
    return this.#panel.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>('input, textarea')
  }

  #read(): Map<string, string> {
    return new Map([...this.#fields].map(({ name, value }) => [name, value.trim()]))
  }

  #save(): void {
    try {
      this.#memory.setItem(NAME, JSON.stringify(Object.fromEntries(this.#read())))
    } catch {
      // No room, or none allowed: they are lost with a reload.
    }
  }

  #restore(): void {
    try {
      const saved: unknown = JSON.parse(this.#memory.getItem(NAME) ?? '{}')
      if (!isRecord(saved)) return
      for (const field of this.#fields) {
        const value = saved[field.name]
        if (typeof value === 'string') field.value = value
      }
    } catch {
      // What is stored is not from this page.
    }
  }
}
