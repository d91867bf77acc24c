import { SluiceClientError, type ChatEvent, type FinalChat, type ToolCallDelta } from '../client/index.ts'
import { create } from './dom.ts'
import type { Reader } from './reader.ts'
import { describeEnd, describeFailure } from './wording.ts'

/** An answer as it comes: reasoning, text, tool calls and how it ended. Whatever a model says is shown as text. */
export class AnswerView {
  readonly element = create('div', 'answer')
  readonly #text = document.createTextNode('')
  readonly #paragraph = create('p', 'text', this.#text)
  readonly #calls = new Map<number, { name: HTMLElement; arguments: Text }>()
  #reasoning: Text | undefined

  constructor(title: string) {
    this.element.append(create('h3', 'who', title), this.#paragraph)
    this.element.classList.add('running')
  }

  append(event: ChatEvent): void {
    if (event.type === 'done' || event.index) return
    if (event.reasoning) this.#appendReasoning(event.reasoning)
    this.appendText((event.content ?? '') + (event.refusal ?? ''))
    for (const call of event.tool_calls ?? []) this.#appendCall(call)
  }

  appendText(text: string): void {
    this.#text.appendData(text)
  }

  /** `note`: how it ended, where there is something to say. */
  finish(note = '', failed = false): void {
    this.element.classList.remove('running')
    if (note) this.element.append(create('p', failed ? 'note failed' : 'note', note))
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
      this.#paragraph.before(details)
    }
    this.#reasoning.appendData(text)
  }

  #appendCall({ index, function: called = {} }: ToolCallDelta): void {
    let call = this.#calls.get(index)
    if (!call) {
      call = { name: create('strong'), arguments: document.createTextNode('') }
      this.#calls.set(index, call)
      const body = create('pre', '', create('code', '', call.arguments))
      this.element.append(create('div', 'call', create('p', '', 'calls ', call.name), body))
    }
    if (called.name) call.name.textContent = called.name
    call.arguments.appendData(called.arguments ?? '')
  }
}

export interface Followed {
  /** All that was received; undefined when the stream failed or the reader left. */
  final: FinalChat | undefined
  /** How it ended, in a sentence. */
  ending: string
  /** The gateway refused the page's key. */
  isRefused?: boolean
}

/** Shows what a reader receives, until its end. Never rejects. */
export async function follow(
  reader: Reader,
  view: AnswerView,
  onEvent: (event: ChatEvent) => void = () => {},
): Promise<Followed> {
  try {
    for await (const event of reader.stream) {
      view.append(event)
      onEvent(event)
    }
    const final = await reader.stream.final()
    const ending = describeEnd(final)
    view.finish(ending)
    return { final, ending }
  } catch (error) {
    const ending = reader.left ? 'left' : describeFailure(error)
    view.finish(ending, !reader.left)
    return {
      final: undefined,
      ending,
      isRefused: error instanceof SluiceClientError && error.code === 'invalid_api_key',
    }
  }
}
