import type { ChatEvent, FinalChat } from '../client/index.ts'
import { Announcer } from './announcer.ts'
import { follow, type AnswerView, type Followed } from './answer-view.ts'
import { Composer, type Question } from './composer.ts'
import { Conversation, type Turn } from './conversation.ts'
import { ConversationView } from './conversation-view.ts'
import { find } from './dom.ts'
import type { Model } from './gateway-info.ts'
import type { Fetch } from './gateway-key.ts'
import type { Notice } from './notice.ts'
import { Reader, type ReaderOptions } from './reader.ts'
import { ReaderActions } from './reader-actions.ts'
import { fetchWithTicket, formatAddress, parseAddress, rememberTicket, type Address } from './shared-link.ts'
import { ShareView } from './share-view.ts'
import { WireView } from './wire-view.ts'
import { formatCount } from './wording.ts'

/** A reader of the latest answer. */
interface Reading {
  reader: Reader
  followed: Promise<Followed>
}

type Message = FinalChat['message']

export interface PlaygroundOptions {
  /** Sends a request with the page's key. */
  fetch: Fetch
  notice: Notice
  /** The page is no longer the reader of somebody else's stream alone. */
  onOwn: () => void
  /** A request was refused for want of a key. */
  onRefused: () => void
}

const JOINED = 'Joined a stream that another page started: its question is not part of it.'
const SHARED = 'Shared with you, for reading. Its question is not part of it.'
const QUESTION = 'What does it take to never lose a token?'

/** The page: a conversation on one side, its wire on the other. */
export class Playground {
  readonly #conversation = new Conversation(sessionStorage)
  readonly #view = new ConversationView()
  readonly #announcer = new Announcer(find('announcer', HTMLElement))
  readonly #wire = new WireView()
  readonly #composer = new Composer({ onSend: (question) => this.#send(question), onStop: () => this.#stop() })
  readonly #actions = new ReaderActions({ onSecond: () => this.#openSecondReader() })
  readonly #share: ShareView
  readonly #options: PlaygroundOptions
  /** Of the link that opened somebody else's stream. */
  #ticket: string | undefined
  /** A stream that the gateway refused to the page's key. */
  #refusedId: string | undefined
  /** Of the latest turn, the page's own reader first. */
  #readings: Reading[] = []

  constructor(options: PlaygroundOptions) {
    this.#options = options
    this.#share = new ShareView(options)
    find('new', HTMLButtonElement).addEventListener('click', () => this.#startAnew())
    find('try', HTMLButtonElement).addEventListener('click', () => this.#composer.ask(QUESTION))
    addEventListener('hashchange', () => this.open(location.hash))
  }

  set models(models: readonly Model[]) {
    if (models.length > 0) this.#composer.models = models
  }

  /** Reads a stream by the ticket of a link, and does nothing else. */
  get isGuest(): boolean {
    return this.#ticket !== undefined
  }

  focus(): void {
    this.#composer.focus()
  }

  /** Joins the stream that the URL's fragment names, if it is not shown already. */
  open(hash: string): void {
    const address = parseAddress(hash)
    const isShown = address?.id === this.#conversation.turns.at(-1)?.streamId
    if (address && (!isShown || address.ticket !== undefined)) this.#join(address)
  }

  /** Asks again for a stream that the gateway has refused. */
  retry(): void {
    const id = this.#refusedId
    if (id !== undefined) this.#join({ id })
  }

  #join(address: Address): void {
    const { id } = address
    this.#clear()
    this.#ticket = rememberTicket(sessionStorage, address)
    // The ticket is not for the history, nor for a picture of the page.
    history.replaceState(null, '', formatAddress({ id }))
    this.#composer.hidden = this.isGuest
    const turn = this.#conversation.restore(id)
    for (const earlier of this.#conversation.turns.slice(0, -1)) {
      const view = this.#showTurn(earlier)
      view.appendText(earlier.answer)
      view.finish()
    }
    this.#read(turn, Reader.join(id, this.#readerOptions))
  }

  #send({ text, model, mock }: Question): void {
    this.#leave()
    const turn = this.#conversation.add(text)
    const body = {
      messages: this.#conversation.messages,
      ...(model && { model }),
      // Each turn tells another story.
      ...(mock && { mock: { seed: this.#conversation.turns.length, ...mock } }),
    }
    this.#read(turn, Reader.start(body, this.#readerOptions))
  }

  /** Shows a turn's answer as it comes. */
  #read(turn: Turn, reader: Reader): void {
    const view = this.#showTurn(turn)
    turn.answer = ''
    this.#announcer.say('Answering.')
    const followed = follow(reader, view, (event) => this.#onEvent(turn, event))
    this.#readings = [{ reader, followed }]
    this.#wire.readers = [reader]
    this.#composer.running = true
    this.#show(reader, turn.streamId)
    this.#view.scrollToEnd()
    void this.#name(turn, reader)
    void followed.then((end) => this.#onEnd(turn, reader, end))
  }

  /** Once the gateway has said what the stream is called, a reload finds it again. */
  async #name(turn: Turn, reader: Reader): Promise<void> {
    const id = await reader.stream.id.catch(() => undefined)
    if (id === undefined || reader.left) return
    turn.streamId = id
    this.#conversation.save()
    history.replaceState(null, '', `#/${id}`)
    this.#show(reader, id)
  }

  #onEvent(turn: Turn, event: ChatEvent): void {
    this.#view.scrollToEnd()
    if (event.type === 'done' || event.index) return
    turn.answer += event.content ?? ''
    this.#announcer.append(event.content ?? '')
  }

  #onEnd(turn: Turn, reader: Reader, { ending, isRefused = false }: Followed): void {
    if (reader.left) return
    this.#composer.running = false
    this.#actions.showEnd()
    if (isRefused) this.#onRefused(turn)
    else this.#announcer.say(` The answer is over: ${ending}.`)
    this.#conversation.save()
    this.#view.scrollToEnd()
  }

  /** A question goes back to where it was typed, to be sent again with a key. */
  #onRefused({ question, streamId }: Turn): void {
    this.#refusedId = streamId
    if (streamId === undefined && question !== undefined) {
      this.#conversation.turns.pop()
      this.#view.removeLast()
      this.#composer.restore(question)
    }
    this.#options.onRefused()
  }

  get #readerOptions(): ReaderOptions {
    return {
      fetch: this.#ticket === undefined ? this.#options.fetch : fetchWithTicket(this.#ticket),
      onChange: () => this.#wire.changed(),
    }
  }

  #openSecondReader(): void {
    const [first] = this.#readings
    const turn = this.#conversation.turns.at(-1)
    if (!first || !turn?.streamId || this.#readings.length > 1) return
    const reader = Reader.join(turn.streamId, this.#readerOptions)
    const view = this.#view.addAnswer('Second reader')
    const second = { reader, followed: follow(reader, view, () => this.#view.scrollToEnd()) }
    this.#readings = [first, second]
    this.#wire.readers = [first.reader, reader]
    this.#announcer.say(' A second reader has joined.')
    void this.#compare(first, second)
  }

  /** Says, when both have ended, whether they have the same answer. */
  async #compare(first: Reading, second: Reading): Promise<void> {
    const [one, other] = await Promise.all([first.followed, second.followed])
    if (!one.final || !other.final || this.#readings[1] !== second) return
    this.#view.conclude(compare(one.final.message, other.final.message))
  }

  #stop(): void {
    // Whether it worked is told by the stream itself.
    this.#readings[0]?.reader.stream.cancel().catch(() => {})
  }

  #startAnew(): void {
    const wasGuest = this.isGuest
    this.#ticket = undefined
    this.#clear()
    this.#composer.hidden = false
    if (wasGuest) this.#options.onOwn()
    this.#wire.readers = []
    this.#show(undefined, undefined)
    this.#composer.running = false
    history.replaceState(null, '', location.pathname)
    this.#composer.focus()
  }

  /** Offers the actions on this reader, and on its stream once that is known. */
  #show(reader: Reader | undefined, id: string | undefined): void {
    this.#actions.show(reader, id)
    this.#share.id = this.isGuest ? undefined : id
  }

  #clear(): void {
    this.#leave()
    this.#refusedId = undefined
    this.#conversation.clear()
    this.#view.clear()
  }

  #leave(): void {
    for (const { reader } of this.#readings) reader.leave()
    this.#readings = []
  }

  #showTurn({ question }: Turn): AnswerView {
    return this.#view.add(question, this.isGuest ? SHARED : JOINED)
  }
}

/** Whoever reads a stream, however its connections fared, has the same of it. */
function compare(one: Message, other: Message): string {
  if (JSON.stringify(one) !== JSON.stringify(other)) return 'The two readers have different answers.'
  return `Both readers have the same answer, all ${formatCount(one.content?.length ?? 0)} characters of it.`
}
