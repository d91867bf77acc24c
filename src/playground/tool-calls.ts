import type { FinalChat, ToolCallDelta } from '../client/index.ts'
import type { ToolResult } from './conversation.ts'
import { create } from './dom.ts'

interface CallView {
  element: HTMLElement
  name: HTMLElement
  input: Text
}

type Calls = NonNullable<FinalChat['message']['tool_calls']>

/** The tool calls of an answer as they come, and, when it has ended, a field for the result of each. */
export class ToolCalls {
  readonly element = create('form', 'calls')
  readonly #views = new Map<number, CallView>()

  append({ index, function: called = {}, custom = {} }: ToolCallDelta): void {
    const view = this.#views.get(index) ?? this.#add(index)
    const name = called.name ?? custom.name
    if (name) view.name.textContent = name
    view.input.appendData((called.arguments ?? '') + (custom.input ?? ''))
  }

  #add(index: number): CallView {
    const view = { name: create('strong'), input: document.createTextNode('') }
    const input = create('pre', '', create('code', '', view.input))
    const element = create('div', 'call', create('p', '', 'Tool call: ', view.name), input)
    const added = { ...view, element }
    this.#views.set(index, added)
    this.element.append(element)
    return added
  }

  /** Lets the user play the tools. */
  askForResults(calls: Calls, onResults: (results: ToolResult[]) => void): void {
    const views = [...this.#views.values()]
    const fields = calls.map((call, index) => {
      const name = call.type === 'custom' ? call.custom.name : call.function.name
      const content = create('textarea')
      content.rows = 1
      content.required = true
      content.placeholder = '{"found": 3}'
      views[index]?.element.append(create('label', '', `Result of ${name}`, content))
      return { id: call.id, name, content }
    })
    const send = create('button', '', fields.length > 1 ? 'Send results' : 'Send result')
    this.element.append(send)
    this.element.addEventListener('submit', (event) => {
      event.preventDefault()
      onResults(fields.map(({ content, ...call }) => ({ ...call, content: content.value })))
    })
  }
}
