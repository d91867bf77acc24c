import type { ChatBody, ChatEvent } from '../client/index.ts'
import { Announcer } from './announcer.ts'
import type { AnswerView } from './answer-view.ts'
import { chatBody } from './chat-body.ts'
import { offerCode } from './code-dialog.ts'
import { Composer } from './composer.ts'
import { Conversation, type Asked, type Turn } from './conversation.ts'
import { ConversationView } from './conversation-view.ts'
import { find } from './dom.ts'
import { follow, isGone, type Followed } from './follow.ts'
import type { Model } from './gateway-info.ts'
import type { Fetch } from './gateway-key.ts'
import type { Notice } from './notice.ts'
import { RawView } from './raw-view.ts'
import { Reader, type ReaderOptions } from './reader.ts'
import { ReaderActions } from './reader-actions.ts'
import { SecondReader } from './second-reader.ts'
import { SettingsForm } from './settings.ts'
import { fetchWithTicket, formatAddress, parseAddress, rememberTicket, type Address } from './shared-link.ts'
import { ShareView } from './share-view.ts'
import { WireView } from './wire-view.ts'
import { describeReconnecting } from './wording.ts'

export interface PlaygroundOptions {
  /** Sends a request with the page's key. */
  fetch: Fetch
  hasKey: () => boolean
  notice: Notice
  /** The page is no longer the reader of somebody else's stream alone. */
  onOwn: () => void
  /** A request was refused for want of a key. */
  onRefused: () => void
}

const JOINED = 'Joined a stream that another page started: its question is not part of it.'
const SHARED = 'Shared with you, for reading. Its question is not part of it.'

/** The page: a conversation on one side, its wire on the other. */
export class Playground {
  readonly #conversation = new Conversation(sessionStorage)
  readonly #view = new ConversationView({
    onEdit: (index, question) => this.#edit(index, { question }),
    onRetry: (index) => this.#edit(index, this.#conversation.turns[index]),
  })
  readonly #announcer = new Announcer(find('announcer', HTMLElement))
  readonly #wire = new WireView()
  readonly #raw = new RawView()
  readonly #settings = new SettingsForm(sessionStorage)
  readonly #composer = new Composer({
    onSend: (question) => this.#ask({ question }),
    onStop: () => this.#stop(),
  })
  readonly #actions = new ReaderActions({ onSecond: () => this.#openSecondReader() })
  readonly #share: ShareView
  readonly #options: PlaygroundOptions
  /** Of the link that opened somebody else's stream. */
  #ticket: string | undefined
  /** A stream that the gateway refused to the page's key. */
  #refusedId: string | undefined
  /** Of the latest turn. */
  #reader: Reader | undefined
  #second: SecondReader | undefined
  #retries = 0

  constructor(options: PlaygroundOptions) {
    this.#options = options
    this.#share = new ShareView(options)
    offerCode({ body: () => this.#currentBody(), hasKey: options.hasKey })
    find('new', HTMLButtonElement).addEventListener('click', () => this.#startAnew())
    const example = find('try', HTMLButtonElement)
    example.addEventListener('click', () => this.#composer.ask(example.textContent?.trim() ?? ''))
    find('skip', HTMLButtonElement).addEventListener('click', () => this.#composer.focus())
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
    this.#read(turn, (options) => Reader.join(id, options))
  }

  #edit(index: number, asked: Asked | undefined): void {
    this.#retries += 1
    if (asked) this.#ask({ question: asked.question, ...(asked.results && { results: asked.results }) }, index)
    this.#composer.focus()
  }

  /** Asks this in this turn: what was there before, and after it, is forgotten. */
  #ask(asked: Asked, index = this.#conversation.turns.length): void {
    const body = this.#bodyFor(asked, index)
    if (!body) return
    this.#leave()
    this.#conversation.cutAt(index)
    this.#view.removeFrom(index)
    this.#read(this.#conversation.add(asked), (options) => Reader.start(body, options))
  }

  /** Undefined while a field of the form is not valid, which is then shown. */
  #bodyFor(asked: Asked, index: number): ChatBody | undefined {
    const choice = this.#composer.choice
    if (!choice) return undefined
    const messages = this.#conversation.messagesFor(asked, index)
    return chatBody({ messages, choice, settings: this.#settings.value, seed: index + 1 + 1000 * this.#retries })
  }

  /** What would be sent now; with nothing typed, the latest request. */
  #currentBody(): ChatBody | undefined {
    const { turns } = this.#conversation
    const typed = this.#composer.text
    const latest = turns.at(-1)
    return latest && typed === ''
      ? this.#bodyFor(latest, turns.length - 1)
      : this.#bodyFor({ question: typed || 'Hello!' }, turns.length)
  }

  /** Shows a turn's answer as it comes. */
  #read(turn: Turn, open: (options: ReaderOptions) => Reader): void {
    const view = this.#showTurn(turn)
    const column = this.#raw.add(
      'first',
      'Sluice',
      turn.streamId ? `GET /v1/streams/${turn.streamId}` : 'POST /v1/chat',
    )
    const reader = open({
      fetch: this.#fetch,
      onChange: () => this.#showConnection(view),
      onFrame: (frame) => column.add(frame),
    })
    this.#reader = reader
    this.#announcer.say('Answering.')
    const followed = follow(reader, view, { onEvent: this.#recorder(turn), kept: turn.answer })
    this.#wire.readers = [reader]
    this.#composer.running = true
    this.#show(reader, turn.streamId)
    this.#view.grown()
    void this.#name(turn, reader)
    void followed.then((end) => this.#onEnd(turn, reader, view, end))
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

  /** The answer of the gateway takes the place of what this tab has kept, with its first event. */
  #recorder(turn: Turn): (event: ChatEvent) => void {
    let answer = ''
    return (event) => {
      this.#view.grown()
      if (event.type === 'done' || event.index) return
      answer += event.content ?? ''
      turn.answer = answer
      this.#announcer.append(event.content ?? '')
    }
  }

  #showConnection(view: AnswerView): void {
    this.#wire.changed()
    const attempts = this.#reader?.record.attempts
    view.connection = attempts === undefined ? '' : describeReconnecting(attempts)
    if (attempts !== undefined) this.#view.grown()
  }

  #onEnd(turn: Turn, reader: Reader, view: AnswerView, end: Followed): void {
    if (reader.left) return
    this.#composer.running = false
    this.#actions.showEnd()
    if (end.code === 'invalid_api_key') this.#onRefused(turn)
    else this.#announcer.say(` The answer is over: ${end.ending}.`)
    if (isGone(end)) this.#onGone()
    this.#offerResults(turn, view, end)
    this.#conversation.save()
    this.#view.grown()
  }

  /** Whoever has no tools to run can play them. */
  #offerResults(turn: Turn, view: AnswerView, { final }: Followed): void {
    const calls = final?.message.tool_calls ?? []
    if (!final || calls.length === 0 || this.isGuest) return
    turn.called = final.message
    view.calls.askForResults(calls, (results) => this.#ask({ question: undefined, results }))
  }

  /** There is nothing to be read again. */
  #onGone(): void {
    this.#view.removeOrigin()
    this.#show(undefined, undefined)
  }

  /** A question goes back to where it was typed, to be sent again with a key. */
  #onRefused({ question, streamId }: Turn): void {
    this.#refusedId = streamId
    if (streamId === undefined && question !== undefined) {
      this.#conversation.turns.pop()
      this.#view.removeFrom(this.#conversation.turns.length)
      this.#composer.restore(question)
    }
    this.#options.onRefused()
  }

  get #fetch(): Fetch {
    return this.#ticket === undefined ? this.#options.fetch : fetchWithTicket(this.#ticket)
  }

  #openSecondReader(): void {
    const first = this.#reader
    const id = this.#conversation.turns.at(-1)?.streamId
    if (!first || id === undefined || this.#second) return
    const readerOptions = { fetch: this.#fetch, onChange: () => this.#wire.changed() }
    const [conversation, wire, raw] = [this.#view, this.#wire, this.#raw]
    this.#second = new SecondReader({ id, first, readerOptions, conversation, wire, raw })
    this.#announcer.say(' A second reader has joined.')
  }

  #stop(): void {
    // Whether it worked is told by the stream itself.
    this.#reader?.stream.cancel().catch(() => {})
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
    this.#view.removeFrom(0)
    this.#raw.clear()
  }

  #leave(): void {
    this.#reader?.leave()
    this.#second?.leave()
    this.#second = undefined
  }

  #showTurn(turn: Turn): AnswerView {
    return this.#view.add(turn, this.isGuest ? SHARED : JOINED)
  }
}
