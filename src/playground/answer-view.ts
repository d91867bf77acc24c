import type { ChatEvent } from '../client/index.ts'
import { copyButton } from './copy.ts'
import { create } from './dom.ts'
import { DomSink } from './markdown/dom-sink.ts'
import { MarkdownParser } from './markdown/markdown-parser.ts'
import { ToolCalls } from './tool-calls.ts'

export interface AnswerViewOptions {
  title: string
  /** Beside the title. */
  beside?: HTMLElement
  onRetry?: () => void
}

/** An answer as it comes: reasoning, Markdown, tool calls and how it ended. Whatever a model says, no HTML is made of it. */
export class AnswerView {
  readonly element = create('div', 'answer running')
  readonly calls = new ToolCalls()
  readonly #text = create('div', 'text')
  readonly #raw = create('pre', 'raw')
  readonly #source = document.createTextNode('')
  readonly #markdown = new MarkdownParser(new DomSink(this.#text))
  readonly #connection = create('p', 'note reconnecting')
  readonly #notes = create('div', 'notes')
  #reasoning: Text | undefined

  constructor({ title, beside, onRetry }: AnswerViewOptions) {
    this.#raw.append(this.#source)
    this.#raw.hidden = true
    const head = create('div', 'answer-head', create('h3', 'who', title), ...(beside ? [beside] : []))
    this.element.append(head, this.#text, this.#raw, this.calls.element, this.#notes)
    this.element.append(this.#createActions(onRetry))
  }

  append(event: ChatEvent): void {
    if (event.type === 'done' || event.index) return
    if (event.reasoning) this.#appendReasoning(event.reasoning)
    this.appendText((event.content ?? '') + (event.refusal ?? ''))
    for (const call of event.tool_calls ?? []) this.calls.append(call)
  }

  appendText(text: string): void {
    this.#source.appendData(text)
    this.#markdown.write(text)
  }

  /** How the connection is; nothing when it is well. */
  set connection(text: string) {
    this.#connection.textContent = text
    if (text === '') this.#connection.remove()
    else this.#notes.before(this.#connection)
    this.element.classList.toggle('away', text !== '')
  }

  /** `note`: how it ended, where there is something to say. */
  finish(note = '', failed = false): void {
    this.#markdown.end()
    this.connection = ''
    this.element.classList.remove('running')
    if (note) this.#notes.append(create('p', failed ? 'note failed' : 'note', note))
  }

  #createActions(onRetry: (() => void) | undefined): HTMLElement {
    const shown = () => (this.#raw.hidden ? this.#text : this.#raw)
    const raw = button('Raw', () => {
      this.#raw.hidden = !this.#raw.hidden
      this.#text.hidden = !this.#raw.hidden
      raw.ariaPressed = String(!this.#raw.hidden)
    })
    raw.title = 'The text as the model wrote it'
    raw.ariaPressed = 'false'
    const actions = create(
      'div',
      'answer-actions',
      copyButton('Copy the answer', shown, () => this.#source.data),
      raw,
    )
    if (onRetry) {
      const retry = button('Try again', onRetry)
      retry.classList.add('retry')
      actions.append(retry)
    }
    return actions
  }

  #appendReasoning(text: string): void {
    if (!this.#reasoning) {
      this.#reasoning = document.createTextNode('')
      const details = create(
        'details',
        'reasoning',
        create('summary', '', 'Reasoning'),
        create('p', '', this.#reasoning),
      )
      details.open = true
      this.#text.before(details)
    }
    this.#reasoning.appendData(text)
  }
}

export function button(label: string, onClick: () => void): HTMLButtonElement {
  const made = create('button', 'quiet', label)
  made.type = 'button'
  made.addEventListener('click', onClick)
  return made
}
