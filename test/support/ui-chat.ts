import { AbstractChat, DefaultChatTransport, type ChatInit, type ChatState, type ChatStatus, type UIMessage } from 'ai'

/** What `useChat` keeps in React: here each change can be waited for. */
class PlainState implements ChatState<UIMessage> {
  status: ChatStatus = 'ready'
  error: Error | undefined
  messages: UIMessage[]
  readonly #waiting = new Set<() => void>()

  constructor(messages: UIMessage[]) {
    this.messages = messages
  }

  pushMessage = (message: UIMessage): void => {
    this.messages = [...this.messages, message]
    this.#wake()
  }

  popMessage = (): void => {
    this.messages = this.messages.slice(0, -1)
  }

  replaceMessage = (index: number, message: UIMessage): void => {
    this.messages = this.messages.map((each, i) => (i === index ? structuredClone(message) : each))
    this.#wake()
  }

  snapshot = <T>(value: T): T => structuredClone(value)

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

/** The AI SDK's chat, as `useChat` has it, without React. */
export class PlainChat extends AbstractChat<UIMessage> {
  readonly #state: PlainState

  constructor({ messages = [], ...init }: ChatInit<UIMessage>) {
    const state = new PlainState(messages)
    super({ ...init, state })
    this.#state = state
  }

  /** Waits until the answer has this text. */
  async untilText(text: string): Promise<void> {
    await this.#state.until(() => textOf(this.lastMessage) === text)
  }
}

export function textOf(message: UIMessage | undefined): string {
  return (message?.parts ?? []).map((part) => (part.type === 'text' ? part.text : '')).join('')
}

type Settings = Omit<ChatInit<UIMessage>, 'transport'> & { body?: object; fetch?: typeof fetch }

/** A page that talks to a gateway, with what its requests have beside the messages. */
export function openPage(url: string, { body = {}, fetch, ...init }: Settings = {}): PlainChat {
  const transport = new DefaultChatTransport({ api: `${url}/v1/ui/chat`, body, ...(fetch && { fetch }) })
  return new PlainChat({ ...init, transport })
}
