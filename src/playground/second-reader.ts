import type { FinalChat } from '../client/index.ts'
import type { AnswerView } from './answer-view.ts'
import type { ConversationView } from './conversation-view.ts'
import { create } from './dom.ts'
import { follow } from './follow.ts'
import {
  isProtocol,
  ProtocolReader,
  PROTOCOLS,
  streamPath,
  type ForeignProtocol,
  type ProtocolName,
} from './protocol-reader.ts'
import type { RawColumn, RawView } from './raw-view.ts'
import { Reader, type ReaderOptions } from './reader.ts'
import type { WireView } from './wire-view.ts'
import { formatCount } from './wording.ts'

export interface SecondReaderOptions {
  id: string
  /** The page's own reader. */
  first: Reader
  readerOptions: ReaderOptions
  conversation: ConversationView
  wire: WireView
  raw: RawView
}

type Message = FinalChat['message']

/** Another reader of the same stream, beside the page's own: with the SDK, or in another protocol. */
export class SecondReader {
  readonly #options: SecondReaderOptions
  #reader: Reader | ProtocolReader | undefined

  constructor(options: SecondReaderOptions) {
    this.#options = options
    this.#open('native')
  }

  leave(): void {
    this.#reader?.leave()
    this.#reader = undefined
  }

  #open(protocol: ProtocolName): void {
    this.leave()
    const { id, conversation, raw } = this.#options
    const select = protocolSelect(protocol, (chosen) => this.#open(chosen))
    const view = conversation.addAnswer({ title: 'Second reader', beside: select.label })
    if (view.element.ownerDocument.activeElement === document.body) select.field.focus()
    const column = raw.add('second', PROTOCOLS[protocol], `GET /${streamPath(id, protocol)}`)
    if (protocol === 'native') this.#openNative(view, column)
    else this.#openForeign(protocol, view, column)
  }

  #openNative(view: AnswerView, column: RawColumn): void {
    const { id, first, readerOptions, conversation, wire } = this.#options
    const reader = Reader.join(id, { ...readerOptions, onFrame: (frame) => column.add(frame) })
    this.#reader = reader
    wire.readers = [first, reader]
    const followed = follow(reader, view, { onEvent: () => conversation.grown() })
    void this.#compare(reader, async (own) => {
      const { final } = await followed
      return final && compareMessages(own, final.message)
    })
  }

  #openForeign(protocol: ForeignProtocol, view: AnswerView, column: RawColumn): void {
    const { id, first, readerOptions, conversation, wire, raw } = this.#options
    const reader = new ProtocolReader(id, protocol, {
      fetch: readerOptions.fetch,
      onFrame: (frame) => column.add(frame),
      onText: (text) => {
        view.appendText(text)
        conversation.grown()
      },
    })
    this.#reader = reader
    wire.readers = [first]
    raw.isShown = true
    void reader.text.then(() => view.finish(reader.left ? '' : reader.failure, reader.failure !== ''))
    void this.#compare(reader, async (own) => {
      const text = await reader.text
      return text === undefined ? undefined : compareTexts(own.content ?? '', text, PROTOCOLS[protocol])
    })
  }

  /** Says, when both have ended, whether they have the same answer. */
  async #compare(
    reader: Reader | ProtocolReader,
    verdict: (own: Message) => Promise<string | undefined>,
  ): Promise<void> {
    const final = await this.#options.first.stream.final().catch(() => undefined)
    const said = final && (await verdict(final.message))
    if (said && this.#reader === reader) this.#options.conversation.conclude(said)
  }
}

/** Whoever reads a stream, however its connections fared, has the same of it. */
function compareMessages(one: Message, other: Message): string {
  if (JSON.stringify(one) !== JSON.stringify(other)) return 'The two readers have different answers.'
  return `Both readers have the same answer, all ${formatCount(one.content?.length ?? 0)} characters of it.`
}

function compareTexts(one: string, other: string, protocol: string): string {
  return one === other
    ? `Both readers have the same text, all ${formatCount(one.length)} characters of it, the second as ${protocol}.`
    : `The second reader has another text, as ${protocol}.`
}

function protocolSelect(protocol: ProtocolName, onChoice: (protocol: ProtocolName) => void) {
  const field = create('select')
  field.ariaLabel = 'Second reader as'
  for (const [name, title] of Object.entries(PROTOCOLS)) field.append(new Option(title, name, false, name === protocol))
  field.addEventListener('change', () => isProtocol(field.value) && onChoice(field.value))
  return { field, label: create('label', 'protocol', create('span', '', 'as'), field) }
}
